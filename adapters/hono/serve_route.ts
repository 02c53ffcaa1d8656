import type { Context } from "hono";
import { failure, type Fault, ok, type Result, systemFault } from "../../src/result.ts";
import type { Answerable, Message, Publishable, Streamable } from "../../src/message/message.ts";
import type { Dispatcher, SendOptions } from "../../src/mediator/types.ts";
import { unfit } from "../../src/mediator/validate.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import type { Problem, Route } from "../client/mod.ts";
import { eventStream } from "./event_stream.ts";
import { inputOf } from "./input.ts";
import { answerProblem, faultOfThrown, problemOf, refusal, writeProblem } from "./problem.ts";

/** What all routes of an app have in common. */
export interface Serving {
  readonly app: Dispatcher;
  readonly runtime: Runtime;
  readonly timeout: number;
  readonly bodyLimit: number;
  readonly heartbeat: number;
  readonly headers: readonly string[];
}

/** How long a stream may take to fail with a status of its own; a later failure comes as an event. */
const OPENING = 100;
const HEADER_LENGTH = 1024;
const EVENTS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

/** Answers the requests of one route. */
export function serveRoute(entry: Route, serving: Serving): (context: Context) => Promise<Response> {
  const { contract } = entry;
  const input = inputOf(entry, serving.bodyLimit);
  const answer = contract.kind === "stream"
    ? answerStream
    : contract.kind === "event" || contract.kind === "reliable"
    ? answerEvent
    : answerCall;
  return async (context) => {
    const { req } = context;
    const read = await input(req);
    if (read.refused !== undefined) return refuse(entry, serving, read.refused);
    const headers = allowed(req.raw.headers, serving.headers);
    if (typeof headers === "string") {
      return refuse(
        entry,
        serving,
        refusal(431, `The header "${headers}" has more than ${HEADER_LENGTH} characters`),
      );
    }
    return answer(entry, serving, contract(read.json), req.raw, headers);
  };
}

/** Answers and logs what HTTP itself has against a request. */
function refuse({ method, path }: Route, { runtime }: Serving, told: Problem): Response {
  const fields = { method, path, status: told.status };
  runtime.log({ level: "info", event: "http.refused", message: `${method} ${path}: ${told.detail}`, fields });
  return answerProblem(told);
}

async function answerCall(
  entry: Route,
  { app, timeout }: Serving,
  message: Message,
  { signal }: Request,
  headers: SendOptions["headers"],
): Promise<Response> {
  const options = { signal, timeout: entry.timeout ?? timeout, headers };
  const result: Result<unknown, Fault> = await app.send(message as Answerable, options);
  return result.ok ? answerValue(entry, result.value) : answerProblem(problemOf(result.error, entry));
}

function answerValue(entry: Route, value: unknown): Response {
  if (value === undefined) return new Response(null, { status: entry.status ?? 204 });
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = undefined;
  }
  if (text === undefined) return answerProblem(problemOf(systemFault("SERIALIZATION", "Not JSON"), entry));
  return new Response(text, { status: entry.status ?? 200, headers: { "content-type": "application/json" } });
}

/** An event that may be lost is not waited for; whether its body fits is the only thing that can be told of it. */
async function answerEvent(
  entry: Route,
  { app, runtime, timeout }: Serving,
  message: Message,
  { signal }: Request,
  headers: SendOptions["headers"],
): Promise<Response> {
  const { contract } = entry;
  const checked = await contract.input["~standard"].validate(message.body);
  let result: Result<void> = ok(undefined);
  if (checked.issues !== undefined) result = failure(unfit(contract, checked.issues)) as Result<void>;
  else if (contract.kind === "event") runtime.background(app.publish(message as Publishable, { headers }));
  else {result = await app.publish(message as Publishable, {
      signal,
      timeout: entry.timeout ?? timeout,
      headers,
    });}
  if (!result.ok) return answerProblem(problemOf(result.error, entry));
  return new Response(null, { status: entry.status ?? 202 });
}

async function answerStream(
  entry: Route,
  { app, runtime, heartbeat }: Serving,
  message: Message,
  { signal, method }: Request,
  headers: SendOptions["headers"],
): Promise<Response> {
  const { clock } = runtime;
  const status = entry.status ?? 200;
  if (method === "HEAD") return new Response(null, { status, headers: EVENTS });
  const client = new AbortController();
  const ended = (): void => {
    signal.removeEventListener("abort", ended);
    client.abort();
  };
  if (signal.aborted) client.abort();
  else signal.addEventListener("abort", ended, { once: true });

  const options = { signal: client.signal, timeout: entry.timeout, headers };
  const answers = app.stream(message as Streamable, options)[Symbol.asyncIterator]();
  const first = answers.next();
  const opening = Promise.withResolvers<undefined>();
  const stop = clock.timer(OPENING, () => opening.resolve(undefined));
  const opened = first.then(() => undefined, (thrown: unknown) => answerProblem(toProblem(thrown)));
  const failed = await Promise.race([opened, opening.promise]);
  stop();
  const toText = (thrown: unknown): string => writeProblem(toProblem(thrown)).text;
  if (failed !== undefined) {
    ended();
    return failed;
  }
  return new Response(eventStream(answers, first, { clock, heartbeat, fault: toText, ended }), {
    status,
    headers: EVENTS,
  });

  function toProblem(thrown: unknown): Problem {
    return problemOf(faultOfThrown(thrown), entry);
  }
}

function allowed(headers: Headers, names: readonly string[]): SendOptions["headers"] | string {
  let found: Record<string, string> | undefined;
  for (const name of names) {
    const value = headers.get(name);
    if (value === null) continue;
    if (value.length > HEADER_LENGTH) return name;
    (found ??= {})[name] = value;
  }
  return found;
}
