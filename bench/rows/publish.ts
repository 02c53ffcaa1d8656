/** One event to 1, 3 and 10 listeners in this process: awaited, and not. */
import type { Candidate, Candidates } from "../harness/candidate.ts";

type Make = (listeners: number) => Candidate | Promise<Candidate>;

const makers: Readonly<Record<string, Make>> = {
  "all started, then awaited": async (k) => (await import("../peers/direct.ts")).tell(k),
  catga: async (k) => (await import("../peers/catga.ts")).publish(k),
  "@nestjs/cqrs": async (k) => (await import("../peers/nest.ts")).publish(k),
  moleculer: async (k) => (await import("../peers/moleculer.ts")).publish(k),
  "mediatr-ts": async (k) => (await import("../peers/mediatr.ts")).publish(k),
  "Map and loop, not awaited": async (k) => (await import("../peers/direct.ts")).shout(k),
  "catga, not awaited": async (k) => (await import("../peers/catga.ts")).publishUnawaited(k),
};

export const candidates: Candidates = Object.fromEntries(
  Object.entries(makers).flatMap(([name, make]) => [1, 3, 10].map((k) => [`${name} (${k})`, () => make(k)])),
);
