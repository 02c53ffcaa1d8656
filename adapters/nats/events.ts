import { CatgaError, systemFault } from "../../src/result.ts";
import { KeyedTurns } from "../../src/internal/keyed_turns.ts";
import type { Appended, AppendOptions, EventStore, NewEvent } from "../../src/ports/event_store.ts";
import { checkAppend } from "../../src/ports/event_store_faults.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { Appender } from "./events_append.ts";
import { EventLog } from "./events_log.ts";
import { ownPlace } from "./events_place.ts";
import { EventReader, refuseAborted } from "./events_reader.ts";
import type { JetStreamLink, Link } from "./link.ts";

/** How many appends of this process may wait for those before them in their streams. */
const WAITING = 65_536;

/**
 * The event store of a cluster on JetStream: one stream, each append one message. Its stream is made when it is not
 * there, also later. Rejects with a `CatgaError`: `VALIDATION` where the server keeps nothing at all.
 */
export async function natsEvents(link: Link): Promise<EventStore & AsyncDisposable> {
  const jetstream = jetstreamOf(link);
  const log = new EventLog(link, jetstream, ownPlace(link, jetstream));
  const reader = new EventReader(log);
  const writer = new EventWriter(log, new Appender(log, reader.indexes));
  await reader.begin();
  return storeOf(reader, (...given) => writer.append(...given));
}

/** What keeps messages. Throws `VALIDATION` where nothing does, or not as events need it. */
export function jetstreamOf({ jetstream, connection }: Link): JetStreamLink {
  if (jetstream === undefined) throw refused("the server has no JetStream; switch it on");
  const { version = "" } = connection.info ?? {};
  if (jetstream.replicas > 1 && !capabilitiesOf(version).replicatedCas) {
    throw refused(
      `nats-server ${version} lets two appends that expect the same version both win where several servers keep ` +
        "them; take 2.10.19 or newer, or replicas: 1",
    );
  }
  return jetstream;
}

function refused(why: string): CatgaError {
  return new CatgaError(systemFault("VALIDATION", `Cannot keep events: ${why}`));
}

/** A store that reads by a reader and appends by a function. */
export function storeOf(reader: EventReader, append: EventStore["append"]): EventStore & AsyncDisposable {
  return {
    append,
    read: (stream, options) => reader.read(stream, options),
    find: (stream, id, options) => reader.find(stream, id, options),
    readAll: (options) => reader.readAll(options),
    head: (options) => reader.head(options),
    changed: (after, options) => reader.changed(after, options),
    [Symbol.asyncDispose]: () => Promise.resolve(reader[Symbol.dispose]()),
  };
}

class EventWriter {
  readonly #log: EventLog;
  readonly #appender: Appender;
  readonly #turns: KeyedTurns = new KeyedTurns();

  constructor(log: EventLog, appender: Appender) {
    this.#log = log;
    this.#appender = appender;
  }

  async append(
    stream: string,
    events: readonly NewEvent[],
    { expected = "any", signal }: AppendOptions = {},
  ): Promise<Appended> {
    refuseAborted(signal);
    checkAppend(stream, events, expected);
    const own = [...events];
    const subject = await this.#log.subjectOf(stream);
    if (this.#turns.waiting >= WAITING) {
      const message = `Cannot append to "${stream}": ${WAITING} appends wait already, as many as may`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    // Those of one process would only be in each other's way.
    const end = await this.#turns.take(subject, signal);
    try {
      refuseAborted(signal);
      return await this.#appender.append({ stream, subject, events: own, expected, signal });
    } finally {
      end();
    }
  }
}
