/** One request to one handler in this process, awaited. */
import type { Candidates } from "../harness/candidate.ts";

export const candidates: Candidates = {
  "direct call": async () => (await import("../peers/direct.ts")).call(),
  "Result limit": async () => (await import("../peers/direct.ts")).callResult(),
  "3 async wrappers": async () => (await import("../peers/direct.ts")).callWrapped(3),
  catga: async () => (await import("../peers/catga.ts")).send(),
  "catga, 5 idle behaviors": async () => (await import("../peers/catga.ts")).sendIdle(),
  "catga, 3 behaviors": async () => (await import("../peers/catga.ts")).sendGuarded(),
  "@nestjs/cqrs": async () => (await import("../peers/nest.ts")).send(),
  moleculer: async () => (await import("../peers/moleculer.ts")).send(),
  Effect: async () => (await import("../peers/effect.ts")).send(),
  oRPC: async () => (await import("../peers/orpc.ts")).send(),
  "mediatr-ts": async () => (await import("../peers/mediatr.ts")).send(),
  "Hono, app.request": async () => (await import("../peers/hono.ts")).send(),
};
