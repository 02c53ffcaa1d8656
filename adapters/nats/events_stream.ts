import { droppedSettings } from "./capabilities.ts";
import { abortable, type ApiError, apiFault, NO_STREAM, readJson } from "./events_faults.ts";
import type { EventsPlace } from "./events_place.ts";
import type { Link } from "./link.ts";

/** What the server says of a stream. */
export interface StreamAnswer {
  readonly config?: object;
  readonly created?: string;
  /** Of a copy: how many messages it lacks, and how long ago, in ns, it heard of its origin; -1 for never. */
  readonly mirror?: { readonly lag?: number; readonly active?: number };
  readonly error?: ApiError;
}

/** The stream that keeps all events: made when it is not there, and looked at again when the server was away. */
export class EventStream {
  readonly name: string;
  readonly #link: Link;
  readonly #settings: Readonly<Record<string, unknown>>;
  readonly #losses: Set<() => void> = new Set();
  #created: string | undefined;
  #ready: Promise<void> | undefined;

  constructor(link: Link, { stream, settings }: EventsPlace) {
    this.#link = link;
    this.name = stream;
    this.#settings = settings;
  }

  /** Settles when the stream is there and as it should be; asks the server only when that is in doubt. */
  ready(signal?: AbortSignal): Promise<void> {
    return abortable(this.#ready ??= this.#looking(), signal, "ask the event store");
  }

  /** The server was away, or says that there is no such stream. */
  doubt(): void {
    this.#ready = undefined;
  }

  /** What the server says of it. */
  async info(signal?: AbortSignal): Promise<StreamAnswer> {
    await this.ready(signal);
    const answer = await this.#api("INFO", undefined, signal);
    if (answer.config === undefined) throw apiFault("read", answer.error);
    return answer;
  }

  /** Hears that the events that there were are gone; answers what ends that. */
  onLoss(run: () => void): () => void {
    this.#losses.add(run);
    return () => this.#losses.delete(run);
  }

  #looking(): Promise<void> {
    const looking: Promise<void> = this.#look().catch((thrown: unknown) => {
      if (this.#ready === looking) this.#ready = undefined;
      throw thrown;
    });
    return looking;
  }

  async #look(): Promise<void> {
    let answer = await this.#api("INFO");
    if (answer.error?.err_code === NO_STREAM) {
      answer = await this.#api("CREATE", { name: this.name, ...this.#settings });
      // Another one may have made it just now.
      if (answer.error !== undefined) answer = await this.#other(answer.error);
    }
    if (answer.config === undefined) throw apiFault("keep", answer.error);
    if (droppedSettings(this.#settings, answer.config).length > 0) await this.#adjust(answer.config);
    this.#meet(answer.created);
  }

  async #other(error: ApiError): Promise<StreamAnswer> {
    const answer = await this.#api("INFO");
    if (answer.config === undefined) throw apiFault("keep", error);
    return answer;
  }

  /** Sets what differs, and keeps what others have set. */
  async #adjust(config: object): Promise<void> {
    // Servers before 2.10 refuse another way of telling; without it, whoever waits for events looks each second.
    const { republish: _telling, ...rest } = this.#settings;
    let answer = await this.#api("UPDATE", { ...config, ...this.#settings });
    if (answer.config === undefined) answer = await this.#api("UPDATE", { ...config, ...rest });
    const left = answer.config === undefined
      ? answer.error?.description
      : droppedSettings(this.#settings, answer.config).join(", ");
    if (left === "") return;
    this.#link.runtime.log({
      level: "warn",
      event: "nats.events_settings",
      message: `The stream "${this.name}" is not as it should be: ${left}`,
      fields: { stream: this.name, settings: left },
    });
  }

  #meet(created: string | undefined): void {
    const before = this.#created;
    this.#created = created;
    if (before === undefined || before === created) return;
    this.#link.runtime.log({
      level: "error",
      event: "nats.events_lost",
      message: `All events of "${this.name}" are gone: the stream of ${before} is now one of ${created}`,
      fields: { stream: this.name, before, created },
    });
    for (const run of [...this.#losses]) run();
  }

  async #api(verb: string, request?: unknown, signal?: AbortSignal): Promise<StreamAnswer> {
    const payload = request === undefined ? "" : JSON.stringify(request);
    const subject = `$JS.API.STREAM.${verb}.${this.name}`;
    return readJson(await this.#link.ask(subject, payload, { signal }), "keep");
  }
}
