/** Effect in one process: a service from the context, its effect run as a promise. */
import { Context, Effect } from "effect";
import { type Candidate, carriesB } from "../harness/candidate.ts";

interface Pinger {
  readonly ping: (body: { a: number }) => Effect.Effect<{ b: number }>;
}
const Pinger = Context.Service<Pinger>("Pinger");

const services = Context.make(Pinger, { ping: (body) => Effect.sync(() => ({ b: body.a })) });
const run = Effect.runPromiseWith(services);
const ping = (body: { a: number }) => Effect.flatMap(Pinger, (pinger) => pinger.ping(body));

let count = 0;

export function send(): Candidate {
  return { run: () => run(ping({ a: count++ })), check: carriesB };
}

export function sendAll(size: number): Candidate {
  const bodies = Array.from({ length: size }, (_, a) => ({ a }));
  return {
    run: () => run(Effect.forEach(bodies, ping, { concurrency: "unbounded" })),
    per: size,
    check: (answers) => (answers as unknown[]).every(carriesB),
  };
}
