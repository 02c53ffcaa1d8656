import { sleep } from "../../src/internal/sleep.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Link } from "./link.ts";
import { randomToken } from "./random_token.ts";
import { headersOf, readTime } from "./store_message.ts";
import type { StoreNames } from "./store_names.ts";
import { type ApiError, ApiFailure, apiRefusal, readAnswer } from "./store_refusals.ts";
import { unlessAborted } from "./store_wait.ts";

/** How often the stream is looked for and made while others do the same. */
const TRIES = 64;
/** How often to look whether who made it has made it ready, before another does, and how long to wait between, in ms. */
const WAITS = 60;
const PAUSE = 50;
/**
 * For how long something must be there, in ms, before what is written is sure to stay. Of two purges at a time the second
 * takes away what was written since the first: the server looks once whether there is anything that must stay, and then
 * waits for its turn.
 */
const SETTLED = 200;
/** How long the server may take for it, in ms. */
const PATIENCE = 5000;
/** By how much sequences grow with each millisecond at which a stream may be made. */
const STEP = 1000;

/** What bounds a stream. */
export interface StreamLimits {
  readonly keys: number;
  readonly bytes: number;
}

/** A stream as it was made at one time. */
export interface OpenStream {
  readonly name: string;
  /** Its first sequence: larger than all of the one that was there before. */
  readonly floor: number;
}

interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>>;
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly last_seq: number;
    readonly first_ts: string;
    readonly last_ts: string;
  };
}

/**
 * Finds the stream of a store, and makes it where there is none. Its sequences begin at the time when it was made, by
 * the server's clock: they go on growing when it is made again, and none that was meant for the one before fits.
 */
export class StreamMaker {
  readonly #link: Link;
  readonly #names: StoreNames;
  readonly #limits: StreamLimits;
  readonly #name: string;
  readonly #lost: () => void;
  #open: OpenStream | undefined;
  #last: OpenStream | undefined;
  #opening: Promise<OpenStream> | undefined;

  /** @param lost is called when the stream is another one than before */
  constructor(link: Link, names: StoreNames, limits: StreamLimits, lost: () => void) {
    this.#link = link;
    this.#names = names;
    this.#limits = limits;
    this.#name = `CATGA_${link.name}_kv`;
    this.#lost = lost;
  }

  open(signal: AbortSignal | undefined): Promise<OpenStream> {
    if (this.#open !== undefined) return Promise.resolve(this.#open);
    this.#opening ??= this.#find().finally(() => this.#opening = undefined);
    return unlessAborted(this.#opening, signal);
  }

  /** It may be another one by now. */
  forget(): void {
    this.#open = undefined;
  }

  /** Whether the stream is still there, as far as anybody says. */
  async isThere(): Promise<boolean> {
    const found = await this.#ask(`STREAM.INFO.${this.#name}`, {}, [ApiFailure.noStream]).catch(() =>
      undefined
    );
    return found?.error === undefined;
  }

  async #find(): Promise<OpenStream> {
    const name = this.#name;
    let [mine, waits] = [false, 0];
    for (let tries = 0; tries < TRIES; tries++) {
      const info = await this.#ask<StreamInfo>(`STREAM.INFO.${name}`, {}, [ApiFailure.noStream]);
      if (info.error !== undefined) {
        mine = await this.#make();
        continue;
      }
      const floor = Math.floor(readTime(info.created)) * STEP;
      if (info.state.last_seq >= floor - 1) {
        if (!isSettled(info)) {
          await this.#wait();
          continue;
        }
        await this.#settle(info.config);
        return this.#open = this.#note(floor);
      }
      if (mine || waits++ === WAITS) {
        // Whatever is below was written by who did not know yet that the stream was lost; that is seen by its sequence.
        await this.#ask(`STREAM.PURGE.${name}`, { seq: floor });
        mine = false;
      } else {
        // Who made it does that. Done twice at a time it could take away what was written in between.
        await this.#pause();
      }
    }
    throw apiRefusal("open the stream of the store", { description: "it is made and goes again" });
  }

  /** Makes the stream; answers whether it was this that made it. */
  async #make(): Promise<boolean> {
    const wanted = {
      ...this.#settings(),
      name: this.#name,
      subjects: [this.#names.all],
      storage: "file",
      retention: "limits",
      allow_direct: true,
    };
    const accepted = [ApiFailure.inUse, ApiFailure.overlap];
    const made = await this.#ask<{ readonly did_create?: boolean }>(
      `STREAM.CREATE.${this.#name}`,
      wanted,
      accepted,
    );
    if (made.error?.err_code === ApiFailure.overlap) await this.#seeWhose();
    return made.did_create === true;
  }

  /** Fails if another stream has the subjects. A server says so too while it makes this one for somebody else. */
  async #seeWhose(): Promise<void> {
    const wanted = { subject: this.#names.all };
    const { streams } = await this.#ask<{ readonly streams?: readonly string[] | null }>(
      "STREAM.NAMES",
      wanted,
    );
    if (streams?.some((name) => name !== this.#name)) throw taken(this.#names.all);
    await this.#pause();
  }

  #pause(): Promise<void> {
    const { clock, random } = this.#link.runtime;
    return sleep(clock, PAUSE * (0.5 + random.u32() / 2 ** 32));
  }

  /** Writes one note if it is not there and, when it has been there for long enough, another that shows what time it is. */
  async #wait(): Promise<void> {
    const { clock, random } = this.#link.runtime;
    const write = async (subject: string, expected?: string): Promise<void> => {
      const headers = headersOf({ kind: "gone", id: randomToken(random) });
      if (expected !== undefined) headers.set("Nats-Expected-Last-Subject-Sequence", expected);
      await this.#link.ask(subject, "", { timeout: PATIENCE, headers }).catch(() => {});
    };
    await write(this.#names.sweep, "0");
    await sleep(clock, SETTLED);
    await write(this.#names.clock);
  }

  #settings(): Readonly<Record<string, unknown>> {
    return {
      max_msgs_per_subject: 1,
      // Two more than keys: the server's clock and the sweep are noted there too.
      max_msgs: this.#limits.keys + 2,
      max_bytes: this.#limits.bytes,
      discard: "new",
      num_replicas: this.#link.jetstream?.replicas ?? 1,
    };
  }

  /** Sees that the stream has the settings that are wanted, as far as the server lets it. */
  async #settle(config: Readonly<Record<string, unknown>>): Promise<void> {
    const settings = this.#settings();
    if (Object.entries(settings).every(([field, value]) => config[field] === value)) return;
    const stream = this.#name;
    await this.#ask(`STREAM.UPDATE.${stream}`, { ...config, ...settings }).catch((thrown: unknown) => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      this.#link.runtime.log({
        level: "warn",
        event: "nats.store_settings",
        message: `The stream "${stream}" of the store has other settings than this node wants: ${why}`,
        fields: { stream },
      });
    });
  }

  /** Says when all that was kept is lost. */
  #note(floor: number): OpenStream {
    const last = this.#last;
    const name = this.#name;
    if (last?.floor === floor) return last;
    if (last !== undefined) {
      this.#lost();
      const back = floor < last.floor
        ? ", and the server's clock was set back, so that revisions may repeat"
        : "";
      this.#link.runtime.log({
        level: "error",
        event: "nats.store_lost",
        message: `The stream "${name}" was lost with all it kept, and is there again${back}`,
        fields: { stream: name, before: last.floor, floor },
      });
    }
    return this.#last = { name, floor };
  }

  async #ask<T extends object>(
    what: string,
    body: object,
    accepted: readonly (number | undefined)[] = [],
  ): Promise<T & { readonly error?: ApiError }> {
    const message = await this.#link.ask(`$JS.API.${what}`, JSON.stringify(body), { timeout: PATIENCE });
    const answer = readAnswer<T>(message);
    if (answer.error !== undefined && !accepted.includes(answer.error.err_code)) {
      throw apiRefusal(`open the stream of the store (${what})`, answer.error);
    }
    return answer;
  }
}

function isSettled({ state: { messages, first_ts, last_ts } }: StreamInfo): boolean {
  return messages > 0 && readTime(last_ts) - readTime(first_ts) >= SETTLED;
}

function taken(subjects: string): CatgaError {
  const message =
    `Cannot open the store: another stream takes its subjects ${subjects}. Choose another cluster name`;
  return new CatgaError(systemFault("CONFLICT", message));
}
