import { CatgaError, systemFault } from "../result.ts";
import { sleep } from "../internal/sleep.ts";
import type { Codec } from "../ports/codec.ts";
import type { Queue } from "../ports/queue.ts";
import type { Store } from "../ports/store.ts";
import type { Frame } from "../ports/transport.ts";
import { json } from "../wire/json.ts";
import { decodeParcel } from "../wire/parcel.ts";
import { decodeLetter, type LetterRecord, writeBody } from "./dead_letters_entry.ts";
import { deliveryName, keyPart, replayName, shortId } from "./dead_letters_name.ts";
import { LetterShelf } from "./dead_letters_shelf.ts";
import { fireAgain, readFiring, SCHEDULES } from "./schedule/firing_letter.ts";
import type {
  DeadLetter,
  DeadLetterContent,
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetters,
  DeadLettersOptions,
  ListDeadLetters,
  NewDeadLetter,
  OpenedDeadLetter,
  ReplayOptions,
} from "./dead_letters_types.ts";

/** How often another may be faster. */
const TRIES = 5;
/** After how many letters, and after how long when there is no room, all are counted again. */
const RECOUNT = 100;
const CLOSED = 1000;
/** How much of the message of a fault is kept, in characters. */
const MESSAGE = 2000;

/**
 * Keeps deliveries that could not be handled in a store.
 *
 * @example
 * ```ts
 * import { deadLetters } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const letters = deadLetters(memoryStore({ clock: runtime.clock }), { runtime });
 * const { total, letters: first } = await letters.list({ topic: "orders.created" });
 * console.log(total, first.map(({ name, code }) => `${name} ${code}`));
 * ```
 */
export function deadLetters(store: Store, options: DeadLettersOptions): DeadLetters {
  return new StoredLetters(store, options);
}

class StoredLetters implements DeadLetters {
  readonly #store: Store;
  readonly #shelf: LetterShelf;
  readonly #runtime: DeadLettersOptions["runtime"];
  readonly #codec: Codec;
  readonly #limit: number;
  /** How many letters there were, how many were put since, and when that was counted. */
  #count = { known: 0, since: Infinity, at: -Infinity };

  constructor(store: Store, { runtime, codec = json, limit = 10_000 }: DeadLettersOptions) {
    if (!(Number.isSafeInteger(limit) && limit >= 1)) {
      throw new RangeError(
        `Cannot keep dead letters: the limit is ${limit}, but must be a whole number from 1 upwards`,
      );
    }
    this.#store = store;
    this.#shelf = new LetterShelf(store, runtime);
    this.#runtime = runtime;
    this.#codec = codec;
    this.#limit = limit;
  }

  async put(letter: NewDeadLetter): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#put(letter);
      } catch (thrown) {
        if (!(CatgaError.is(thrown) && thrown.code === "CONFLICT") || tries >= TRIES) throw thrown;
      }
    }
  }

  async list(options: ListDeadLetters = {}): Promise<DeadLetterPage> {
    const { after = "", limit = 100, signal } = options;
    if (!(limit >= 1)) {
      throw new RangeError(`Cannot list dead letters: the limit is ${limit}, but must be 1 or more`);
    }
    const all = await this.#all(options, signal);
    const rest = all.filter(({ name }) => name > after);
    const letters = rest.slice(0, limit).map(shown);
    return { letters, next: rest.length > limit ? letters.at(-1)?.name : undefined, total: all.length };
  }

  async show(name: string): Promise<OpenedDeadLetter | undefined> {
    const record = await this.#shelf.find(name);
    if (record === undefined) return undefined;
    const payload = await this.#shelf.payload(record);
    return { ...shown(record), payload, content: this.#content(payload) };
  }

  async replay(which: readonly string[] | DeadLetterFilter, options: ReplayOptions): Promise<number> {
    const { queue, rate = 100, signal } = options;
    if (!(rate > 0)) throw new RangeError(`Cannot replay: the rate is ${rate}, but must be above 0 a second`);
    let replayed = 0;
    for (const name of await this.#names(which, signal)) {
      if (replayed > 0) await sleep(this.#runtime.clock, 1000 / rate, signal);
      if (signal?.aborted) {
        throw new CatgaError(
          systemFault("CANCELLED", `Replaying was given up after ${replayed} dead letters`),
        );
      }
      const record = await this.#shelf.find(name);
      if (record === undefined) continue;
      await this.#giveBack(record, queue, signal);
      await this.#remove(record);
      replayed++;
    }
    return replayed;
  }

  async drop(which: readonly string[] | DeadLetterFilter): Promise<number> {
    let dropped = 0;
    for (const name of await this.#names(which)) {
      const record = await this.#shelf.find(name);
      if (record !== undefined && await this.#remove(record)) dropped++;
    }
    return dropped;
  }

  async #put(letter: NewDeadLetter): Promise<void> {
    const { topic, group, key, payload, pushed, attempts, handedOut, fault } = letter;
    const { replays, letter: after, ...delivery } = deliveryName(letter.id);
    const { crypto, clock, random } = this.#runtime;
    const id = await shortId(delivery.id, crypto);
    const name = (await Promise.all([topic, group, id].map((part) => keyPart(part, crypto)))).join("/");
    const entry = await this.#shelf.entry(name);
    const before = decodeLetter(entry);
    // What was replayed and failed again takes the place of the letter that it was, if that is there still.
    const taken = before === undefined || before.revision === after ||
      (before.after === after && !before.sealed);
    if (!taken) return;
    if (entry === undefined) await this.#assertRoom();
    const { pieces, ...written } = writeBody(payload);
    const record: LetterRecord = {
      name,
      topic,
      group,
      id,
      key,
      pushed,
      at: clock.wall(),
      attempts,
      handedOut,
      replays,
      code: fault.code,
      message: fault.message.slice(0, MESSAGE).toWellFormed(),
      size: payload.length,
      ...written,
      mark: [random.u32(), random.u32()].map((part) => part.toString(36)).join("-"),
      after,
      sealed: true,
      revision: 0,
    };
    await this.#shelf.put(record, pieces, entry?.revision ?? "absent");
    if (entry === undefined) this.#count.since++;
    if (before !== undefined) await this.#shelf.removePieces(before);
  }

  async #giveBack(record: LetterRecord, queue: Queue, signal: AbortSignal | undefined): Promise<void> {
    const { topic, group, key } = record;
    const payload = await this.#shelf.payload(record);
    const firing = group === SCHEDULES ? readFiring(payload) : undefined;
    const host = { store: this.#store, runtime: this.#runtime };
    if (firing !== undefined) return await fireAgain(host, firing, replayName(record), signal);
    // Nobody would take what is for a group that is not there.
    await queue.backlog(topic, group, { signal });
    await queue.push(topic, [{ id: replayName(record), key, payload }], { signal });
  }

  async #remove(record: LetterRecord): Promise<boolean> {
    const removed = await this.#shelf.remove(record);
    if (removed) this.#count.since--;
    return removed;
  }

  #content(payload: Frame): DeadLetterContent | undefined {
    try {
      const { type, id, body, correlationId, causationId, headers } = decodeParcel(this.#codec, payload);
      return { type, id, body, correlationId, causationId, headers };
    } catch {
      const { message: { type, body } = {}, id, headers } = readFiring(payload) ?? {};
      if (type === undefined || id === undefined) return undefined;
      return { type, id, body, correlationId: undefined, causationId: undefined, headers };
    }
  }

  async #names(
    which: readonly string[] | DeadLetterFilter,
    signal?: AbortSignal,
  ): Promise<readonly string[]> {
    if (Array.isArray(which)) return which as readonly string[];
    return (await this.#all(which as DeadLetterFilter, signal)).map(({ name }) => name);
  }

  async #all({ topic, group }: DeadLetterFilter, signal?: AbortSignal): Promise<LetterRecord[]> {
    const { crypto } = this.#runtime;
    let prefix = "";
    if (topic !== undefined) prefix += `${await keyPart(topic, crypto)}/`;
    if (topic !== undefined && group !== undefined) prefix += `${await keyPart(group, crypto)}/`;
    // Other processes may have put some at the same time.
    const letters = await this.#shelf.list(prefix, 2 * this.#limit + RECOUNT, signal);
    return group === undefined ? letters : letters.filter((letter) => letter.group === group);
  }

  async #assertRoom(): Promise<void> {
    const now = this.#runtime.clock.mono();
    const { known, since, at } = this.#count;
    const full = known + since >= this.#limit;
    if (full ? now - at >= CLOSED : since >= Math.min(RECOUNT, this.#limit / 10)) {
      this.#count = { known: (await this.#all({})).length, since: 0, at: now };
    }
    if (this.#count.known + this.#count.since < this.#limit) return;
    const message =
      `Cannot keep a dead letter: there are ${this.#limit}, as many as may be; replay or drop some`;
    throw new CatgaError(systemFault("OVERLOADED", message));
  }
}

function shown(record: LetterRecord): DeadLetter {
  const { form: _form, body: _body, mark: _mark, after: _after, sealed: _sealed, revision: _, ...letter } =
    record;
  return letter;
}
