import { CatgaError, systemFault } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import { askStore } from "./ask_store.ts";
import { acquireLease, type Lease } from "./lease.ts";
import { HeldWorker, workerMarkKey } from "./worker_id_held.ts";
import { markOf } from "./worker_id_mark.ts";

/** What workers are taken from. */
export interface WorkerPool {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly owner: string;
  readonly ttl: number;
  readonly name: string;
  readonly workers: number;
}

/** Takes one of the workers that are free. Rejects with `OVERLOADED` if there is none. */
export async function takeWorker(pool: WorkerPool, signal: AbortSignal): Promise<HeldWorker> {
  const { store, runtime, owner, ttl, name, workers } = pool;
  const entries = await askStore(
    { clock: runtime.clock, limit: ttl / 3, signal },
    (signal) => store.list(`workers/${name}/`, { limit: 2 * workers, signal }),
  );
  for (const worker of freeWorkers(pool, entries)) {
    const lease = await leaseOf(leaseKey(name, worker), { store, runtime, owner, ttl, timeout: 0, signal });
    if (lease === undefined) continue;
    try {
      return await HeldWorker.begin({ store, runtime, ttl, name, worker, lease }, signal);
    } catch (thrown) {
      await lease.release();
      throw thrown;
    }
  }
  const message = `Cannot lease a worker of "${name}": all ${workers} are taken`;
  throw new CatgaError(systemFault("OVERLOADED", message, { workers }));
}

/** The workers that seem free: from a random one on those that can begin now, then those whose ids are ahead. */
function freeWorkers({ runtime, name, workers }: WorkerPool, entries: readonly Entry[]): number[] {
  const found = new Map(entries.map((entry) => [entry.key, entry]));
  const now = runtime.clock.wall();
  const start = runtime.random.u32() % workers;
  const ready: number[] = [];
  const ahead: (readonly [worker: number, until: number])[] = [];
  for (let n = 0; n < workers; n++) {
    const worker = (start + n) % workers;
    const mark = markOf(found.get(workerMarkKey(name, worker)));
    if (mark === undefined || found.has(leaseKey(name, worker))) continue;
    if (mark.until <= now) ready.push(worker);
    else ahead.push([worker, mark.until]);
  }
  ahead.sort(([, a], [, b]) => a - b);
  return [...ready, ...ahead.map(([worker]) => worker)];
}

async function leaseOf(
  key: string,
  options: Parameters<typeof acquireLease>[1],
): Promise<Lease | undefined> {
  try {
    return await acquireLease(key, options);
  } catch (thrown) {
    if (CatgaError.is(thrown) && thrown.code === "CONFLICT") return undefined;
    throw thrown;
  }
}

function leaseKey(name: string, worker: number): string {
  return `workers/${name}/lease/${worker}`;
}
