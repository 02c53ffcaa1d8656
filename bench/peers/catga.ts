// deno-lint-ignore-file require-await
/** This library in one process. */
import { command, createMediator, event, handle, on, query, type } from "@catga/catga";
import type { Behavior, Mediator, Module } from "@catga/catga";
import { bulkhead, circuitBreaker, log, metrics, retry, trace, validate } from "@catga/catga/behaviors";
import { type Candidate, succeedsWithB } from "../harness/candidate.ts";

const Ping = command("ping", { input: type<{ a: number }>(), output: type<{ b: number }>() });
const Look = query("look", { input: type<{ a: number }>(), output: type<{ b: number }>() });
const Pinged = event("pinged", { data: type<{ a: number }>() });

const answer = async (body: { a: number }): Promise<{ b: number }> => ({ b: body.a });
const succeeds = (answer: unknown): boolean => (answer as { ok?: unknown }).ok === true;

let count = 0;

function mediator(handlers: Module, behaviors: readonly Behavior[] = []): Mediator {
  return createMediator({ handlers, behaviors });
}

export function send(): Candidate {
  const app = mediator([handle(Ping, answer)]);
  return { run: () => app.send(Ping({ a: count++ })), check: succeedsWithB };
}

/** Five behaviors that find nothing to do for this contract. */
export function sendIdle(): Candidate {
  const idle = [
    validate(),
    retry(),
    trace(undefined),
    metrics(undefined),
    log({ success: "off", failure: "off" }),
  ];
  const app = mediator([handle(Ping, answer)], idle);
  return { run: () => app.send(Ping({ a: count++ })), check: succeedsWithB };
}

/** Three behaviors that watch each call. */
export function sendGuarded(): Candidate {
  const app = mediator([handle(Look, answer)], [retry(), circuitBreaker(), bulkhead({ concurrency: 1000 })]);
  return { run: () => app.send(Look({ a: count++ })), check: succeedsWithB };
}

export function sendAll(size: number): Candidate {
  const app = mediator([handle(Ping, answer)]);
  const messages = Array.from({ length: size }, (_, a) => Ping({ a }));
  return {
    run: () => app.sendAll(messages),
    per: size,
    check: (answers) => (answers as unknown[]).length === size && (answers as unknown[]).every(succeedsWithB),
  };
}

export function publish(listeners: number): Candidate {
  let heard = 0;
  const listen = async (body: { a: number }): Promise<void> => void (heard += body.a > -1 ? 1 : 0);
  const app = mediator(Array.from({ length: listeners }, () => on(Pinged, (body) => listen(body))));
  return {
    run: () => app.publish(Pinged({ a: count++ })),
    check: (answer) => succeeds(answer) && heard === listeners,
  };
}

/** Synchronous listeners and nobody who waits. */
export function publishUnawaited(listeners: number): Candidate {
  let heard = 0;
  const listen = (body: { a: number }): void => void (heard += body.a > -1 ? 1 : 0);
  const app = mediator(Array.from({ length: listeners }, () => on(Pinged, (body) => listen(body))));
  return { run: () => void app.publish(Pinged({ a: count++ })), check: () => heard === listeners };
}
