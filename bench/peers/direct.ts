// deno-lint-ignore-file require-await
/** What can be done without any library: the limits. */
import { type Candidate, carriesB, succeedsWithB } from "../harness/candidate.ts";

interface Ping {
  readonly a: number;
}
interface Pong {
  readonly b: number;
}
type Answer = { readonly ok: true; readonly value: Pong } | { readonly ok: false; readonly error: unknown };
type Step = (body: Ping) => Promise<Answer>;

const answer = async (body: Ping): Promise<Pong> => ({ b: body.a });
const answerResult = async (body: Ping): Promise<Answer> => ({ ok: true, value: { b: body.a } });
const failed = (error: unknown): Answer => ({ ok: false, error });
const safely: Step = (body) => answerResult(body).then(undefined, failed);

let count = 0;

/** The floor: one `async` function, awaited. */
export function call(): Candidate {
  return { run: () => answer({ a: count++ }), check: carriesB };
}

/** The floor of a call that answers a `Result` and never rejects. */
export function callResult(): Candidate {
  return { run: () => safely({ a: count++ }), check: succeedsWithB };
}

/** The same inside so many `async` wrappers, composed once, that look at the outcome. */
export function callWrapped(wrappers: number): Candidate {
  let failures = 0;
  const wrap = (next: Step): Step => async (body) => {
    const result = await next(body);
    if (!result.ok) failures++;
    return result;
  };
  let step = safely;
  for (let at = 0; at < wrappers; at++) step = wrap(step);
  return { run: () => step({ a: count++ }), check: succeedsWithB };
}

/** So many calls at once, nothing around them. */
export function callAll(size: number): Candidate {
  const bodies = Array.from({ length: size }, (_, a): Ping => ({ a }));
  return {
    run: () => Promise.all(bodies.map(answer)),
    per: size,
    check: (answers) => (answers as Pong[]).length === size && (answers as Pong[]).every(carriesB),
  };
}

/** All listeners started, then each awaited. */
export function tell(listeners: number): Candidate {
  let heard = 0;
  const listen = async (body: Ping): Promise<void> => void (heard += body.a > -1 ? 1 : 0);
  const audience = new Map([
    ["pinged", Array.from({ length: listeners }, () => (body: Ping) => listen(body))],
  ]);
  const publish = async (name: string, body: Ping): Promise<void> => {
    const started: Promise<void>[] = [];
    for (const hear of audience.get(name)!) started.push(hear(body));
    for (const done of started) await done;
  };
  return { run: () => publish("pinged", { a: count++ }), check: () => heard === listeners };
}

/** A look-up and a loop over synchronous listeners, nothing to wait for. */
export function shout(listeners: number): Candidate {
  let heard = 0;
  const listen = (body: Ping): void => void (heard += body.a > -1 ? 1 : 0);
  const audience = new Map([
    ["pinged", Array.from({ length: listeners }, () => (body: Ping) => listen(body))],
  ]);
  const publish = (name: string, body: Ping): void => {
    for (const hear of audience.get(name)!) hear(body);
  };
  return { run: () => publish("pinged", { a: count++ }), check: () => heard === listeners };
}
