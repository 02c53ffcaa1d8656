/** An event of 180 bytes of JSON told over NATS and not kept, to one other process that hears it. */
import type { Events } from "../harness/events.ts";

const raw = () => import("../peers/nats_publish.ts");
const own = () => import("../peers/nats_catga.ts");

export const candidates: Readonly<Record<string, () => Promise<Events>>> = {
  "nc.publish, nobody hears": () => raw().then(({ unheard }) => unheard),
  "nc.publish": () => raw().then(({ heard }) => heard),
  "catga, one by one": () => own().then(({ oneByOne }) => oneByOne),
  "catga, in one turn": () => own().then(({ inOneTurn }) => inOneTurn),
  moleculer: () => import("../peers/moleculer_remote.ts").then(({ natsEvents }) => natsEvents),
  "@nestjs/microservices": () => import("../peers/nest_remote.ts").then(({ natsEvents }) => natsEvents),
};
