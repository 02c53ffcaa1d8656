import { CatgaError, failure, systemFault } from "../result.ts";
import type { Host } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { Store } from "../ports/store.ts";
import { type Hearing, hearing } from "./heard_event.ts";
import { inbox } from "./records/inbox.ts";

/** What the handlers stand on. */
interface HandlersHost {
  readonly store: Store;
  readonly service: string;
  readonly timeout: number;
}

/** By topic and group in JSON, how a handler takes deliveries of which each may take so many ms. */
export type PushedHandlers = ReadonlyMap<string, (lease: number) => Hearing>;

/** Those who hear reliable events for a service. Throws `CONFLICT` where two cannot be told apart. */
export function pushedHandlers(engine: Engine, { store, service, timeout }: HandlersHost): PushedHandlers {
  if (service === "" || service.includes("/")) throw conflict(`"${service}" is no name of a service`);
  const { runtime } = engine;
  const host = throughProcess(engine);
  const all = new Map<string, (lease: number) => Hearing>();
  for (const contract of engine.contracts) {
    if (contract.kind !== "reliable" || contract.delivery?.to === "nodes") continue;
    for (const [at, name] of engine.hearers(contract.type).entries()) {
      const group = `${service}/${name}`;
      const key = JSON.stringify([contract.type, group]);
      if (all.has(key)) throw conflict(`two handlers of "${contract.type}" are called "${name}"; name them`);
      all.set(key, (lease) =>
        hearing({
          ...{ engine, contract, at, group, host, timeout, lease },
          // A store of which nothing survives was refused before, or is wanted.
          marks: (retention) => inbox(store, { runtime, retention, unsafe: true }),
        }));
    }
  }
  return all;
}

/** Sends within the process. What would have to be kept is refused, as it would reach nobody else. */
function throughProcess(engine: Engine): Host {
  return {
    dispatch: (message, origin) => engine.dispatch(message, origin),
    tell: (message, origin) => {
      if (message.kind !== "reliable") return engine.tell(message, origin);
      const why = "nothing is kept here; publish it through a node or by the outbox of a record";
      return Promise.resolve(failure(systemFault("UNAVAILABLE", `Cannot publish "${message.type}": ${why}`)));
    },
    flow: (message, origin) => engine.flow(message, origin),
    now: () => engine.now(),
    nextId: engine.nextId,
  };
}

function conflict(why: string): CatgaError {
  return new CatgaError(systemFault("CONFLICT", `Cannot handle events: ${why}`));
}
