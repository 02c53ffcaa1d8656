/** One request to another process and back through NATS: 180 bytes of JSON there, 90 back. */
import type { Remote } from "../harness/order.ts";

export const remotes: Readonly<Record<string, () => Promise<Remote>>> = {
  catga: () => import("../peers/nats_catga.ts").then(({ calls }) => calls),
  "catga, its transport alone": () => import("../peers/nats_catga.ts").then(({ transport }) => transport),
  "limit: frames of a turn": () => import("../peers/nats_frames.ts"),
  "limit: one JSON a turn": () => import("../peers/nats_batched.ts"),
  "own correlation, a message each": () => import("../peers/nats_correlated.ts"),
  "nc.request": () => import("../peers/nats_request.ts"),
  moleculer: () => import("../peers/moleculer_remote.ts").then(({ nats }) => nats),
  "@nestjs/microservices": () => import("../peers/nest_remote.ts").then(({ nats }) => nats),
};
