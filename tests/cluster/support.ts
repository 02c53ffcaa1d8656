import {
  command,
  createMediator,
  event,
  fail,
  handle,
  type LogEntry,
  on,
  query,
  stream,
  type,
} from "@catga/catga";
import { type ClusterOptions, joinCluster, type Node } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import { type Backend, type Frame, systemRuntime, type Transport } from "@catga/catga/ports";

/** What every node of these tests serves. */
export const Who = query("who", { input: type<{ readonly n?: number }>(), output: type<string>() });
/** Answers with what its context says. */
export const Trace = command("trace", { input: type<void>(), output: type<readonly string[]>() });
/** Asks the cluster from inside a handler. */
export const Relay = command("relay", { input: type<void>(), output: type<readonly string[]>() });
/** Fails in every way there is. */
export const Break = command("break", {
  input: type<string>(),
  output: type<unknown>(),
  errors: { BROKEN: type<{ readonly node: string }>() },
});
/** Never answers; its signal tells when it may stop. */
export const Hang = command("hang", { input: type<void>(), output: type<void>() });
/** Counts up, one value at a time. */
export const Count = stream("count", { input: type<{ readonly to: number }>(), output: type<number>() });
/** Told to everyone. */
export const Happened = event("happened", { data: type<{ readonly n: number }>() });

/** One node with what it did. */
export interface Probe {
  readonly node: Node;
  readonly heard: number[];
  readonly log: LogEntry[];
  readonly aborted: () => number;
  readonly handled: () => number;
}

/** Joins a node that serves all of the above. */
export async function probe(
  name: string,
  backend: Backend,
  options: Partial<ClusterOptions> = {},
): Promise<Probe> {
  const heard: number[] = [];
  const log: LogEntry[] = [];
  let aborted = 0;
  let handled = 0;
  const app = createMediator({
    runtime: systemRuntime({ log: (entry) => log.push(entry) }),
    handlers: [
      handle(Who, () => {
        handled++;
        return name;
      }),
      handle(Trace, (_body, context) => [
        name,
        context.id,
        context.correlationId,
        context.causationId ?? "-",
        context.headers["tenant"] ?? "-",
      ]),
      handle(Relay, async (_body, context) => {
        const inner = await context.send(Trace());
        return inner.ok ? [context.id, ...inner.value] : [inner.error.code];
      }),
      handle(Break, (how) => {
        handled++;
        if (how === "fail") return fail("BROKEN", { node: name });
        if (how === "throw") throw new Error("secret detail");
        if (how === "throw text") throw "secret detail";
        if (how === "bigint") return 1n;
        return undefined;
      }),
      handle(
        Hang,
        (_body, { signal }) => new Promise<void>(() => signal.addEventListener("abort", () => aborted++)),
      ),
      handle(Count, async function* ({ to }) {
        try {
          for (let n = 0; n < to; n++) yield n;
        } finally {
          handled++;
        }
      }),
      on(Happened, ({ n }) => void heard.push(n)),
    ],
  });
  const node = await joinCluster(app, {
    node: name,
    endpoint: `memory:${name}`,
    backend,
    timing: { heartbeat: 40, timeout: 200 },
    ...options,
  });
  return { node, heard, log, aborted: () => aborted, handled: () => handled };
}

/** Joins some nodes and waits until each of them can reach all others. */
export async function cluster(names: readonly string[], backend: Backend = memory()): Promise<Probe[]> {
  const probes = await Promise.all(names.map((name) => probe(name, backend)));
  await until(() =>
    probes.every(({ node }) =>
      node.members().filter((member) => member.status === "ready" && member.reachable).length === names.length
    )
  );
  return probes;
}

/** Lets all nodes leave. */
export async function end(probes: readonly Probe[]): Promise<void> {
  await Promise.all(probes.map(({ node }) => node.leave()));
}

/** Waits for something to become true; fails after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 2000) throw new Error(`It did not come true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a test may do to the exchanges of a backend. */
export type Tamper = (
  exchange: Transport["exchange"],
  ...args: Parameters<Transport["exchange"]>
) => Promise<void>;

/** A backend whose exchanges go through a function first. */
export function tampered(backend: Backend, tamper: Tamper): Backend {
  return {
    ...backend,
    open: (host) => {
      const parts = backend.open(host);
      const { transport } = parts;
      return {
        ...parts,
        transport: {
          name: transport.name,
          serve: (self, receiver) => transport.serve(self, receiver),
          exchange: (...args) => tamper((...inner) => transport.exchange(...inner), ...args),
          [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
        },
      };
    },
  };
}

/** The kind of a frame of the JSON codec. */
export function kindOf(frame: Frame): string {
  return String((JSON.parse(String(frame)) as unknown[])[1]);
}
