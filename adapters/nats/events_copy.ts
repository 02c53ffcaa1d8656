import { CatgaError, systemFault } from "../../src/result.ts";
import type { EventStore, EventStoreOptions } from "../../src/ports/event_store.ts";
import { jetstreamOf, storeOf } from "./events.ts";
import { EventLog } from "./events_log.ts";
import { copyPlace, type EventsOrigin } from "./events_place.ts";
import { EventReader, refuseAborted } from "./events_reader.ts";
import type { Link } from "./link.ts";

/** How it stands with a copy. */
export interface CopyLag {
  /** How many appends it has not got yet, as far as it knows. */
  readonly appends: number;
  /** How long ago it last heard of where it copies from, in ms; `undefined` if it never did. */
  readonly silence: number | undefined;
}

/** The events of another cluster, kept here as well: all that an event store gives but `append`, and a little later. */
export interface EventsCopy extends EventStore, AsyncDisposable {
  /** How far it is behind. Rejects as reading does. */
  lag(options?: EventStoreOptions): Promise<CopyLag>;
}

/**
 * Copies the events of another cluster to this one's server, by the servers themselves (a mirror), for projections and
 * readers over here. Versions, positions and times are the same as over there. The servers have to be joined, as leaf
 * nodes or gateways, each with a JetStream domain of its own, and the other has to run 2.9 or newer.
 *
 * `append` rejects with `VALIDATION`: events are appended where they belong.
 */
export async function natsEventsCopy(link: Link, origin: EventsOrigin): Promise<EventsCopy> {
  for (const [what, name] of Object.entries(origin)) {
    if (/^[A-Za-z0-9-]{1,32}$/.test(name)) continue;
    const message =
      `Cannot copy events: ${what} is ${JSON.stringify(name).slice(0, 80)}, but must be 1 to 32 ` +
      "letters, digits and hyphens";
    throw new CatgaError(systemFault("VALIDATION", message));
  }
  const jetstream = jetstreamOf(link);
  const log = new EventLog(link, jetstream, copyPlace(link, jetstream, origin));
  const reader = new EventReader(log);
  await reader.begin();
  const refusal = `this is a copy; append where the events of "${origin.cluster}" belong`;
  const store = storeOf(
    reader,
    (stream) =>
      Promise.reject(new CatgaError(systemFault("VALIDATION", `Cannot append to "${stream}": ${refusal}`))),
  );
  return {
    ...store,
    lag: async ({ signal } = {}) => {
      refuseAborted(signal);
      const { lag = 0, active = -1 } = (await log.stream.info(signal)).mirror ?? {};
      return { appends: lag, silence: active < 0 ? undefined : active / 1e6 };
    },
  };
}
