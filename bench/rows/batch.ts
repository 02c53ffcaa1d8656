/** A thousand requests at once, each with an answer of its own. */
import type { Candidates } from "../harness/candidate.ts";

const SIZE = 1000;

export const candidates: Candidates = {
  "Promise.all of direct calls": async () => (await import("../peers/direct.ts")).callAll(SIZE),
  catga: async () => (await import("../peers/catga.ts")).sendAll(SIZE),
  "@nestjs/cqrs": async () => (await import("../peers/nest.ts")).sendAll(SIZE),
  moleculer: async () => (await import("../peers/moleculer.ts")).sendAll(SIZE),
  Effect: async () => (await import("../peers/effect.ts")).sendAll(SIZE),
  oRPC: async () => (await import("../peers/orpc.ts")).sendAll(SIZE),
  "mediatr-ts": async () => (await import("../peers/mediatr.ts")).sendAll(SIZE),
};
