import { backoff } from "../../src/internal/backoff.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Link } from "./link.ts";
import { randomToken } from "./random_token.ts";
import { askApi, says, StreamCode } from "./streams_api.ts";

/** What a stream shall be like. */
export interface StreamWish {
  /** What its names begin with. */
  readonly prefix: string;
  /** The subjects that it takes. */
  readonly subject: string;
  /** What a stream has for ever. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** What can be changed: changed where it is not so. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** How often a stream is looked for and made while others do the same, or nobody answers. */
const TRIES = 6;
/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 500;

/**
 * One stream of the server, made where it is not there. It has another name each time it is made, so that nothing meant
 * for one that was lost reaches another.
 */
export class MadeStream {
  readonly #link: Link;
  readonly #wish: StreamWish;
  readonly #lost: (name: string) => void;
  #name: string | undefined;
  #last: string | undefined;
  #opening: Promise<string> | undefined;

  /** @param lost hears of one that is gone, once another stands for it */
  constructor(link: Link, wish: StreamWish, lost: (name: string) => void) {
    this.#link = link;
    this.#wish = wish;
    this.#lost = lost;
  }

  /** Its name as it is now. */
  get name(): string | undefined {
    return this.#name;
  }

  /** Finds or makes it, again and again for a while. */
  open(): Promise<string> {
    if (this.#name !== undefined) return Promise.resolve(this.#name);
    return this.#opening ??= this.#open().finally(() => this.#opening = undefined);
  }

  /** It was found not to be there: looked for anew by who opens it next. */
  forget(name: string): void {
    if (this.#name === name) this.#name = undefined;
  }

  async #open(): Promise<string> {
    const { clock, random } = this.#link.runtime;
    for (let failures = 1;; failures++) {
      try {
        const name = await this.#find();
        if (name !== undefined) return this.#found(name);
        if (failures >= TRIES) {
          throw new CatgaError(systemFault("UNAVAILABLE", `${this.#wish.prefix} goes again`));
        }
      } catch (thrown) {
        if (failures >= TRIES || !CatgaError.is(thrown) || !thrown.retryable || !this.#link.up) throw thrown;
      }
      await sleep(clock, backoff(failures, DELAY, LONGEST, random.u32()));
    }
  }

  #found(name: string): string {
    const last = this.#last;
    this.#name = this.#last = name;
    if (last !== undefined && last !== name) this.#lost(last);
    return name;
  }

  async #find(): Promise<string | undefined> {
    const { prefix, subject, settings } = this.#wish;
    const listed = await askApi<{ streams?: readonly string[] | null }>(this.#link, "STREAM.NAMES", {
      subject,
    });
    const found = (listed.streams ?? []).toSorted();
    const name = found.find((each) => each.startsWith(prefix));
    if (name === undefined) return found.length > 0 ? this.#taken(found[0]!) : await this.#make();
    const info = await askApi<{ config: Record<string, unknown> }>(this.#link, `STREAM.INFO.${name}`, {}, [
      StreamCode.noStream,
    ]);
    if (says(info, StreamCode.noStream)) return undefined;
    if (Object.entries(settings).some(([field, value]) => info.config[field] !== value)) {
      await askApi(this.#link, `STREAM.UPDATE.${name}`, { ...info.config, ...settings }).catch((thrown) =>
        this.#unsettled(name, thrown)
      );
    }
    return name;
  }

  async #make(): Promise<string | undefined> {
    const { prefix, subject, fixed, settings } = this.#wish;
    const name = prefix + randomToken(this.#link.runtime.random).slice(0, 12);
    const made = await askApi(
      this.#link,
      `STREAM.CREATE.${name}`,
      { ...fixed, ...settings, name, subjects: [subject] },
      [StreamCode.overlap, StreamCode.inUse],
    );
    return made.error === undefined ? name : undefined;
  }

  #taken(name: string): never {
    const { subject } = this.#wish;
    const why = `the stream "${name}" takes its subjects ${subject}. Choose another cluster name`;
    throw new CatgaError(systemFault("CONFLICT", `Cannot open the queue: ${why}`));
  }

  #unsettled(name: string, thrown: unknown): void {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    this.#link.runtime.log({
      level: "warn",
      event: "nats.queue_settings",
      message: `The stream "${name}" of the queue keeps other settings than this node wants: ${why}`,
      fields: { stream: name },
    });
  }
}
