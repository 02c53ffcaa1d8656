import { faultOf } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { StoredEvent } from "../../ports/event_store.ts";
import { askStore } from "../ask_store.ts";
import { type AskStore, type Checkpoint, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import type { ProjectionLag, ProjectionOptions, ReachedOptions } from "./projection.ts";
import type { Sources } from "./sources.ts";

/** How often beginning anew is tried while somebody else writes how far the projection has come. */
const TRIES = 50;
/** How long to wait between two looks at how far it has come, in ms: twice as long each time. */
const SOON = 10;
const LATER = 250;

/** How far a projection has come: kept in the store, and known here. */
export class ProjectionProgress {
  readonly #name: string;
  readonly #options: ProjectionOptions<Sources>;
  readonly #passed: (position: number) => void;
  readonly #waiters: Set<() => void> = new Set();
  /** What was seen last. */
  position: number = 0;

  constructor(name: string, options: ProjectionOptions<Sources>, passed: (position: number) => void) {
    this.#name = name;
    this.#options = options;
    this.#passed = passed;
  }

  /** Asks a store, but not for ever. */
  readonly ask: AskStore = (ask, asked) => {
    const { runtime: { clock }, patience: limit = 5000 } = this.#options;
    return askStore({ clock, limit, signal: undefined, asked }, ask);
  };

  async load(): Promise<Checkpoint> {
    return this.#moveTo(await readCheckpoint(this.#name, this.#options.store, this.ask));
  }

  async save(progress: Checkpoint, over: Checkpoint): Promise<Checkpoint> {
    return this.#moveTo(await writeCheckpoint(this.#name, this.#options.store, this.ask, progress, over));
  }

  async lag(): Promise<ProjectionLag> {
    const { events, runtime, store } = this.#options;
    const { position, generation } = await readCheckpoint(this.#name, store, this.ask);
    const head = await this.ask((signal) => events.head({ signal }), "event store");
    const after = (signal: AbortSignal): Promise<readonly StoredEvent[]> =>
      events.readAll({ after: position, limit: 1, signal });
    const [next] = await this.ask(after, "event store");
    const age = next === undefined ? 0 : Math.max(runtime.clock.wall() - next.at, 0);
    return { position, head, age, generation };
  }

  async reached(position: number, { timeout = 5000, signal }: ReachedOptions = {}): Promise<boolean> {
    const { runtime: { clock }, store } = this.#options;
    const until = clock.mono() + timeout;
    for (let pause = SOON;; pause = Math.min(pause * 2, LATER)) {
      const kept = await readCheckpoint(this.#name, store, this.ask).catch(() => undefined);
      if (kept !== undefined && kept.position >= position) return true;
      const left = until - clock.mono();
      if (!(left > 0) || signal?.aborted) return false;
      await this.#moved(Math.min(pause, left), signal);
    }
  }

  /** Begins anew, over whatever was kept. */
  async rebuild(sweeping: boolean): Promise<void> {
    const { store, runtime: { clock, random } } = this.#options;
    for (let tries = 1;; tries++) {
      const over = await readCheckpoint(this.#name, store, this.ask);
      const progress = { generation: over.generation + 1, position: 0, sweeping };
      try {
        return void await writeCheckpoint(this.#name, store, this.ask, progress, over);
      } catch (thrown) {
        if (faultOf(thrown).code !== "CONFLICT" || tries >= TRIES) throw thrown;
        await sleep(clock, backoff(tries, 2, 100, random.u32()));
      }
    }
  }

  #moveTo(at: Checkpoint): Checkpoint {
    this.position = at.position;
    this.#passed(at.position);
    for (const wake of [...this.#waiters]) wake();
    return at;
  }

  #moved(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const moved = new AbortController();
    const wake = (): void => moved.abort();
    this.#waiters.add(wake);
    signal?.addEventListener("abort", wake, { once: true });
    return sleep(this.#options.runtime.clock, ms, moved.signal).finally(() => {
      this.#waiters.delete(wake);
      signal?.removeEventListener("abort", wake);
    });
  }
}
