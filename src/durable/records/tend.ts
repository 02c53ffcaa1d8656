import { CatgaError, faultOf } from "../../result.ts";
import type { Asked } from "../ask_store.ts";
import type { Pushing } from "../command_group.ts";
import type { QueueItem } from "../../ports/queue.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import {
  type PendingMessage,
  readRecord,
  type RecordEntry,
  recordOfMark,
  ttlOf,
  writeRecord,
} from "./record_entry.ts";

/** A mark that says that a record may have something to tell. */
export interface RelayMark {
  /** Where it is kept. */
  readonly key: string;
  /** Which writing of it is known; `undefined` for one that is known by hearsay. */
  revision: number | undefined;
  /** Since when that writing is known, by the monotonic clock. */
  since: number;
  /** How often there was nothing to tell. */
  looks: number;
  /** Messages that are in the queue, and still in the record. */
  readonly told: Set<string>;
}

/** What tending to a record takes. */
export interface TendHost {
  readonly store: Store;
  readonly queue: Pushing;
  readonly runtime: Pick<Runtime, "clock">;
  /** Asks the store or the queue, for a bounded time. */
  readonly ask: <T>(work: (signal: AbortSignal) => Promise<T>, asked?: Asked) => Promise<T>;
  /** So many messages are in the queue. */
  readonly told: (count: number) => void;
}

/** The queue could not be asked; why is its `cause`. */
export class QueueAway extends Error {
  override readonly name = "QueueAway";
}

/** How long a mark stays that has no message behind it yet, in ms. */
const GRACE = 2000;
/** How long to wait before looking again whether a message came after its mark, in ms: longer each time. */
const LOOK = 5;
const RAREST = 250;
/** How often it is tried to take out of a record what was told. */
const CLEARINGS = 10;

/**
 * Tells what a record has to tell and takes it out of the record; then takes the mark away. Answers when to look
 * again, in ms; `undefined` when there is nothing left to look for.
 *
 * A mark is taken away only if it is still the one that was there before the record was read, and only after a write
 * to the record: whatever was under way with this mark expects an older revision, and fails.
 */
export async function tend(host: TendHost, mark: RelayMark): Promise<number | undefined> {
  const { store, runtime: { clock }, ask } = host;
  const revision = mark.revision ??= (await ask((signal) => store.get(mark.key, { signal })))?.revision;
  if (revision === undefined) return undefined;
  const entry = await ask((signal) => store.get(recordOfMark(mark.key), { signal }));
  if (entry === undefined) return await remove(host, mark, revision);
  const record = readRecord(entry);
  if (record.outbox.length === 0) {
    if (clock.mono() - mark.since < GRACE) return Math.min(LOOK * 2 ** mark.looks++, RAREST);
    return await rewrite(host, entry, record) ? await remove(host, mark, revision) : 0;
  }
  const failure = await tell(host, record.outbox, mark.told);
  const left = await clear(host, mark, entry);
  if (failure !== undefined) throw failure;
  return left === 0 ? await remove(host, mark, revision) : 0;
}

/**
 * Takes out of a record what is in the queue; answers how many messages are left. A record that is changed all the time
 * is read and written again at once, or its changes would always be faster.
 */
async function clear(host: TendHost, { told }: RelayMark, read: Entry): Promise<number> {
  const { store, ask } = host;
  for (let entry: Entry | undefined = read, tries = 0; entry !== undefined && tries < CLEARINGS; tries++) {
    const record = readRecord(entry);
    const outbox = record.outbox.filter(({ id }) => !told.has(id));
    if (outbox.length === record.outbox.length) return outbox.length;
    if (await rewrite(host, entry, { ...record, outbox })) {
      told.clear();
      return outbox.length;
    }
    entry = await ask((signal) => store.get(read.key, { signal }));
  }
  return 1;
}

/** Puts messages into the queue, those of a topic together; answers what went wrong, if anything did. */
async function tell(
  { queue, ask, told }: TendHost,
  messages: readonly PendingMessage[],
  known: Set<string>,
): Promise<unknown> {
  let failure: unknown;
  for (const [topic, items] of byTopic(messages.filter(({ id }) => !known.has(id)))) {
    try {
      await ask((signal) => queue.push(topic, items, { signal }), "queue");
      for (const { id } of items) known.add(id);
      told(items.length);
    } catch (thrown) {
      // One that no queue takes holds up its own topic only.
      const { retryable } = faultOf(thrown);
      if (retryable || !CatgaError.is(thrown)) return new QueueAway("The queue is away", { cause: thrown });
      failure = thrown;
    }
  }
  return failure;
}

function byTopic(messages: readonly PendingMessage[]): Map<string, QueueItem[]> {
  const topics = new Map<string, QueueItem[]>();
  for (const { topic, id, key, payload } of messages) {
    const items = topics.get(topic);
    if (items === undefined) topics.set(topic, [{ id, key, payload }]);
    else items.push({ id, key, payload });
  }
  return topics;
}

/** Writes over just this entry; whether it was still there. */
function rewrite(
  { store, ask }: TendHost,
  { key, revision: expected }: Entry,
  next: RecordEntry,
): Promise<boolean> {
  const ttl = ttlOf(next);
  return unlessConflict(ask((signal) => store.put(key, writeRecord(next), { expected, ttl, signal })));
}

/** Takes a mark away, unless it was written again meanwhile: then its watch says so. */
async function remove({ store, ask }: TendHost, { key }: RelayMark, expected: number): Promise<undefined> {
  await unlessConflict(ask((signal) => store.delete(key, { expected, signal })));
}

function unlessConflict(work: Promise<unknown>): Promise<boolean> {
  return work.then(() => true, (thrown: unknown) => {
    if (CatgaError.is(thrown) && thrown.code === "CONFLICT") return false;
    throw thrown;
  });
}
