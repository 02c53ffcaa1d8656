/** One request to another process and back: 180 bytes of JSON there, 90 back. */
import type { Remote } from "../harness/order.ts";

const hono = () => import("../peers/hono_remote.ts");
const orpc = () => import("../peers/orpc_remote.ts");

export const remotes: Readonly<Record<string, () => Promise<Remote>>> = {
  catga: () => import("../peers/catga_remote.ts").then(({ plain }) => plain),
  "catga, signed": () => import("../peers/catga_remote.ts").then(({ signed }) => signed),
  "limit: 64 in one POST": () => import("../peers/batched_post.ts"),
  "Hono + fetch": hono,
  "Hono + undici Pool": () => hono().then(({ serve, connectPool }) => ({ serve, connect: connectPool })),
  "moleculer, TCP": () => import("../peers/moleculer_remote.ts").then(({ tcp }) => tcp),
  "@nestjs/microservices, TCP": () => import("../peers/nest_remote.ts").then(({ tcp }) => tcp),
  oRPC: orpc,
  "oRPC, batch plugins": () =>
    orpc().then(({ serve, connectBatched }) => ({ serve, connect: connectBatched })),
};
