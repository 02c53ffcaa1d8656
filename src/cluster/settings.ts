import {
  CatgaError,
  failure,
  type Fault,
  faultOf,
  ok,
  type Result,
  type SystemFault,
  systemFault,
} from "../result.ts";
import type { Schema } from "../schema.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import { follow } from "../durable/follow.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";

/** What settings are made of. */
export interface SettingsSpec<T> {
  /** What fits; a value that does not is neither written nor taken over. It is kept as JSON. */
  readonly schema: Schema<T, T>;
  /** What holds while nothing was written. */
  readonly initial: T;
  /** How many versions are kept, this one included. @default 20 */
  readonly history?: number;
}

/** One version of settings. */
export interface SettingsVersion<T> {
  /** One more than the one before; 0 for what holds before anything was written. */
  readonly version: number;
  /** The settings. */
  readonly value: T;
  /** Who wrote it: the name of a node. */
  readonly by: string;
  /** When, in ms since 1970 by that node's clock. */
  readonly at: number;
}

/** Settings of a whole cluster that change at run time; every node sees each change. */
export interface Settings<T> extends AsyncDisposable {
  /** What holds now, as far as this node has heard. */
  readonly current: SettingsVersion<T>;
  /**
   * Writes what a function makes of what holds. When somebody else writes at the same time the function is asked
   * again, with what holds then. Fails with `VALIDATION` when the schema refuses the outcome, `CONFLICT` when others
   * were faster ten times, or with what the store fails with. Never rejects, unless the function throws.
   */
  change(next: (now: T) => T): Promise<Result<SettingsVersion<T>, Fault>>;
  /** What holds now, then each change; a slow reader gets the newest. */
  watch(options?: { readonly signal?: AbortSignal }): AsyncIterable<SettingsVersion<T>>;
  /** The versions that are kept, the newest first. */
  history(): Promise<readonly SettingsVersion<T>[]>;
}

/** What {@linkcode openSettings} stands on. */
export interface SettingsHost {
  readonly store: Store;
  readonly runtime: Runtime;
  /** The name of the node. */
  readonly node: string;
}

/** A version as it is kept; `change` tells a writer whose answer was lost that it was written. */
interface Kept extends SettingsVersion<unknown> {
  readonly change: string;
}

const TRIES = 10;

/** Reads the settings of a name and follows them. Rejects with what the store fails with. */
export async function openSettings<T>(
  name: string,
  spec: SettingsSpec<T>,
  host: SettingsHost,
): Promise<Settings<T>> {
  const settings = new StoredSettings(`settings/${name}`, name, spec, host);
  await settings.open();
  return settings;
}

class StoredSettings<T> implements Settings<T> {
  current: SettingsVersion<T>;
  readonly #key: string;
  readonly #name: string;
  readonly #spec: SettingsSpec<T>;
  readonly #host: SettingsHost;
  readonly #closed: AbortController = new AbortController();
  readonly #readers: Set<() => void> = new Set();
  #following: Promise<void> | undefined;

  constructor(key: string, name: string, spec: SettingsSpec<T>, host: SettingsHost) {
    this.#key = key;
    this.#name = name;
    this.#spec = spec;
    this.#host = host;
    this.current = { version: 0, value: spec.initial, by: "", at: 0 };
  }

  async open(): Promise<void> {
    await this.#take((await this.#host.store.get(this.#key))?.value);
    this.#following = follow(this.#key, {
      ...this.#host,
      signal: this.#closed.signal,
      take: (key, entry) => key === this.#key ? this.#take(entry?.value) : undefined,
      failed: (cause) => {
        this.#warn("settings.unreachable", "cannot be followed just now; what was heard last holds", cause);
      },
    });
    this.#host.runtime.background(this.#following);
  }

  async change(next: (now: T) => T): Promise<Result<SettingsVersion<T>, Fault>> {
    const { store, runtime, node } = this.#host;
    const change = `${node} ${runtime.random.u32()} ${runtime.random.u32()}`;
    for (let tries = 0; tries < TRIES; tries++) {
      try {
        const entry = await store.get(this.#key);
        const versions = keptOf(entry?.value);
        // An earlier try whose answer was lost.
        const done = versions.find((version) => version.change === change);
        if (done !== undefined) return ok(shown<T>(done));
        await this.#take(entry?.value);
        const checked = await this.#check(next(this.current.value));
        if (!checked.ok) return checked;
        const version = (versions[0]?.version ?? 0) + 1;
        const kept: Kept = { version, value: checked.value, by: node, at: runtime.clock.wall(), change };
        const text = JSON.stringify([kept, ...versions].slice(0, this.#spec.history ?? 20));
        await store.put(this.#key, text, { expected: entry?.revision ?? "absent" });
        await this.#take(text);
        return ok(shown<T>(kept));
      } catch (thrown) {
        if (!CatgaError.is(thrown)) throw thrown;
        if (thrown.code !== "CONFLICT" && thrown.code !== "TRANSPORT") return failure(faultOf(thrown));
        await sleep(runtime.clock, backoff(tries + 1, 10, 500, runtime.random.u32()), this.#closed.signal);
      }
    }
    return failure(this.#conflict());
  }

  async *watch(
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<SettingsVersion<T>, void, undefined> {
    let seen = -1;
    let wake: (() => void) | undefined;
    const look = (): void => wake?.();
    const ended = (): boolean => signal?.aborted === true || this.#closed.signal.aborted;
    this.#readers.add(look);
    signal?.addEventListener("abort", look, { once: true });
    try {
      while (!ended()) {
        if (this.current.version > seen) {
          seen = this.current.version;
          yield this.current;
        } else await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      this.#readers.delete(look);
      signal?.removeEventListener("abort", look);
    }
  }

  async history(): Promise<readonly SettingsVersion<T>[]> {
    return keptOf((await this.#host.store.get(this.#key))?.value).map((kept) => shown<T>(kept));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    for (const look of this.#readers) look();
    await this.#following;
  }

  /** Takes over what is kept, if it is newer and fits. */
  async #take(text: string | undefined): Promise<void> {
    const [kept] = keptOf(text);
    if (kept === undefined || kept.version <= this.current.version) return;
    const checked = await this.#check(kept.value);
    if (!checked.ok) return this.#warn("settings.refused", "do not fit this node's schema", checked.error);
    if (kept.version <= this.current.version) return;
    this.current = { ...shown<T>(kept), value: checked.value };
    for (const look of this.#readers) look();
  }

  async #check(value: unknown): Promise<Result<T>> {
    const { issues, value: checked } = await this.#spec.schema["~standard"].validate(value) as {
      readonly issues?: readonly { readonly message: string }[];
      readonly value: T;
    };
    if (issues === undefined) return ok(checked);
    const why = issues.map(({ message }) => message).join("; ");
    return failure(systemFault("VALIDATION", `Cannot take the settings "${this.#name}": ${why}`));
  }

  #conflict(): SystemFault {
    return systemFault(
      "CONFLICT",
      `Cannot change the settings "${this.#name}": others were faster ${TRIES} times`,
    );
  }

  #warn(event: string, what: string, cause: unknown): void {
    const { runtime } = this.#host;
    runtime.log({ level: "warn", event, message: `The settings "${this.#name}" ${what}`, fields: { cause } });
  }
}

function shown<T>({ version, value, by, at }: Kept): SettingsVersion<T> {
  return { version, value: value as T, by, at };
}

/** The versions in a record, the newest first; none where it is not one. */
function keptOf(text: string | undefined): readonly Kept[] {
  if (text === undefined) return [];
  try {
    const versions: unknown = JSON.parse(text);
    return Array.isArray(versions) ? versions.filter(isKept) : [];
  } catch {
    return [];
  }
}

function isKept(value: unknown): value is Kept {
  const { version, by, at, change } = (value ?? {}) as Partial<Kept>;
  return Number.isSafeInteger(version) && typeof by === "string" && typeof at === "number" &&
    typeof change === "string";
}
