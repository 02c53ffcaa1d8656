// deno-lint-ignore-file no-explicit-any require-await
/** oRPC in one process: its server-side client. */
import { createRouterClient, os } from "@orpc/server";
import { type Candidate, carriesB } from "../harness/candidate.ts";

const router = { ping: os.handler(async ({ input }) => ({ b: (input as { a: number }).a })) };

let count = 0;

export function send(): Candidate {
  const { ping } = createRouterClient(router, { context: {} }) as any;
  return { run: () => ping({ a: count++ }), check: carriesB };
}

export function sendAll(size: number): Candidate {
  const { ping } = createRouterClient(router, { context: {} }) as any;
  const bodies = Array.from({ length: size }, (_, a) => ({ a }));
  return {
    run: () => Promise.all(bodies.map((body) => ping(body))),
    per: size,
    check: (answers) => (answers as unknown[]).every(carriesB),
  };
}
