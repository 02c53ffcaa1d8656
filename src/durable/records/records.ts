import { CatgaError, systemFault } from "../../result.ts";
import { isTrusted, type Schema } from "../../schema.ts";
import { createIdSource } from "../../internal/id_source.ts";
import { isMessageName } from "../../message/policy.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import type { DoneMarks } from "../consumer.ts";
import { refuseUnkept } from "../refuse_unkept.ts";
import { DAY } from "./inbox.ts";
import { keyOfRecord, readRecord } from "./record_entry.ts";
import { RecordTurns } from "./record_turns.ts";
import type { Relay } from "./relay.ts";
import type { Cause, Transaction } from "./transaction.ts";
import { Update, type UpdateHost } from "./update.ts";

/** What {@linkcode records} takes. */
export interface RecordsOptions<T> {
  /** Where they are kept. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Checks a state when it is read, and that it can be read when it is written. It is trusted if left out. */
  readonly schema?: Schema<unknown, T> | undefined;
  /** Is told at once when there is something to tell. Without it a relay notices by its watch. */
  readonly relay?: Pick<Relay, "wake"> | undefined;
  /** Says which deliveries are done with; the ids of those leave a record without an entry of their own. */
  readonly inbox?: DoneMarks | undefined;
  /** How long a message that was applied is known again, in ms by the store's clock. @default 86400000 (a day) */
  readonly retention?: number | undefined;
  /** The longest an update may take, in ms: at most 60000. @default 10000 */
  readonly timeout?: number | undefined;
  /** Takes a store of which nothing survives; what is kept and to be told may then be lost. @default false */
  readonly unsafe?: boolean | undefined;
}

/** What {@linkcode Records.update} takes. */
export interface UpdateOptions {
  /**
   * The message because of which the record changes, such as the context of a handler: it changes the record once,
   * however often it comes. Its id must be the same each time, as that of an event from a queue is.
   */
  readonly context?: Cause | undefined;
  /** Tells several updates of one record because of one message apart. */
  readonly step?: string | undefined;
  /** Gives up waiting; the record may have been changed. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode Records.get} takes. */
export interface GetRecordOptions {
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * States under ids, each with the messages that it still has to tell and the messages that were applied to it: one
 * entry of the store, changed by one compare-and-set. So a change, its events and the mark that it happened are kept
 * together or not at all, on every store.
 */
export interface Records<T> {
  /** What they are called. */
  readonly name: string;
  /** The state of a record; `undefined` if there is none. Rejects with what the store rejects with. */
  get(id: string, options?: GetRecordOptions): Promise<T | undefined>;
  /**
   * Changes a record; answers its state. `change` gets the state, or `undefined` where there is none, and returns the
   * next one, or `undefined` to remove it. It must be pure and wait for nothing: where others change the record at the
   * same time, it runs again. What it throws is thrown here, and nothing has changed or is told.
   *
   * With a `context` that was applied before, `change` does not run, and the state is answered as it is.
   *
   * Rejects with a `CatgaError`: `OVERLOADED` when others changed it each time, or it has too much to tell,
   * `UNAVAILABLE` when the store was away; nothing has changed then. `TRANSPORT` when nobody knows, `CANCELLED` when the
   * signal aborted, `VALIDATION` for what the schema or the store does not take, `SERIALIZATION` for what is no record.
   */
  update(
    id: string,
    change: (state: T | undefined, tx: Transaction) => T | undefined,
    options?: UpdateOptions,
  ): Promise<T | undefined>;
}

const ID = 256;
const TIMEOUT = 10_000;
/** What waits longer might not know its own write again. */
const LONGEST = 60_000;
/** The longest one question to the store may take, in ms. */
const PATIENCE = 3000;
/** How many changes may wait for others of their record. */
const WAITING = 10_000;

/**
 * Records in a store, with what they tell and what was applied to them. Their messages are told by whoever runs
 * `startRelay` on the store, in the order of their record or of their contract's key.
 *
 * Throws a `RangeError` for an option that cannot be, and `CONFLICT` for a store of which nothing survives, unless it
 * is `unsafe`.
 *
 * @example
 * ```ts
 * import { reliableEvent, type } from "@catga/catga";
 * import { records } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const Withdrawn = reliableEvent("accounts.withdrawn", { data: type<{ amount: number }>() });
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock }); // gone with the process
 * const accounts = records<{ balance: number }>("accounts", { store, runtime, unsafe: true });
 *
 * await accounts.update("ann", () => ({ balance: 100 }));
 * const left = await accounts.update("ann", (account, tx) => {
 *   if (account === undefined || account.balance < 30) return account;
 *   tx.publish(Withdrawn({ amount: 30 }));
 *   return { balance: account.balance - 30 };
 * });
 * console.log(left);
 * ```
 */
export function records<T>(name: string, options: RecordsOptions<T>): Records<T> {
  const { store, runtime, schema, relay, inbox, retention = DAY, timeout = TIMEOUT } = options;
  if (!isMessageName(name)) {
    throw new RangeError(`Cannot keep records as "${name}": a name is a letter and letters, digits, _ . : -`);
  }
  if (!(timeout > 0 && timeout <= LONGEST)) {
    throw new RangeError(`Cannot keep "${name}": timeout is ${timeout}, but must be up to ${LONGEST} ms`);
  }
  if (!(retention > 0 && retention < Infinity)) {
    throw new RangeError(`Cannot keep "${name}": retention is ${retention}, but must be more than 0 ms`);
  }
  refuseUnkept(`keep "${name}"`, "what is kept and to be told", options);
  const { clock } = runtime;
  const turns = new RecordTurns(clock);
  const nextAttempt = createIdSource(() => runtime.random.u32());
  const decode = async (text: string | undefined): Promise<T | undefined> => {
    return text === undefined ? undefined : await checked<T>(name, schema, JSON.parse(text));
  };
  const host: UpdateHost<T> = {
    store,
    runtime,
    retention,
    inbox,
    decode,
    encode: async (state) => {
      const text = encoded(name, state);
      if (schema !== undefined && !isTrusted(schema)) await decode(text);
      return text;
    },
    wake: (mark) => relay?.wake(mark),
  };
  const keyOf = (id: string): string => {
    if (id.length < 1 || id.length > ID) {
      refuse(name, `an id has ${id.length} characters, but must have 1 to ${ID}`);
    }
    return keyOfRecord(name, id);
  };
  return {
    name,
    get: async (id, { signal } = {}) => {
      const key = keyOf(id);
      const ask = { clock, limit: Math.min(PATIENCE, timeout), signal };
      const entry = await askStore(ask, (signal) => store.get(key, { signal }));
      return await decode(readRecord(entry).state);
    },
    update: async (id, change, { context: cause, step, signal } = {}) => {
      const key = keyOf(id);
      const deadline = clock.mono() + timeout;
      if (turns.waiting >= WAITING) throw crowded(key, `${WAITING} changes wait already, as many as may`);
      const end = await turns.take(key, deadline, signal);
      try {
        if (signal?.aborted) throw givenUp(key);
        if (clock.mono() >= deadline) throw crowded(key, "others changed it all the time");
        const order = { change, cause, step, signal, attempt: nextAttempt(), deadline };
        return await new Update(host, { ...order, key, name: `${name}/${id}` }).run();
      } finally {
        end();
      }
    },
  };
}

function crowded(key: string, why: string): CatgaError {
  return new CatgaError(systemFault("OVERLOADED", `Cannot change "${key}": ${why}; nothing was done`));
}

function givenUp(key: string): CatgaError {
  return new CatgaError(
    systemFault("CANCELLED", `Cannot change "${key}": it was given up; nothing was done`),
  );
}

async function checked<T>(name: string, schema: Schema<unknown, T> | undefined, state: unknown): Promise<T> {
  if (schema === undefined) return state as T;
  const result = await schema["~standard"].validate(state);
  if (result.issues === undefined) return result.value;
  return refuse(name, `a state does not fit the schema: ${result.issues[0]?.message ?? "it says not why"}`);
}

function encoded(name: string, state: unknown): string | undefined {
  if (state === undefined) return undefined;
  try {
    const text = JSON.stringify(state) as string | undefined;
    return text ?? refuse(name, `a state is a ${typeof state}, which is no data`);
  } catch (thrown) {
    if (CatgaError.is(thrown)) throw thrown;
    return refuse(name, `a state is no JSON: ${(thrown as Error).message}`);
  }
}

function refuse(name: string, why: string): never {
  throw new CatgaError(systemFault("VALIDATION", `Cannot keep "${name}": ${why}`));
}
