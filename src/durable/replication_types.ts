import type { Queue } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";

/** What {@linkcode startReplication} takes. */
export interface ReplicationOptions {
  /** The name of the cluster that events are taken from: 1 to 64 letters, digits and hyphens, another for each cluster. */
  readonly cluster: string;
  /** The reliable events that go to other clusters: their contracts, or their names. */
  readonly events: readonly (string | { readonly type: string })[];
  /** What keeps the events of this cluster. */
  readonly from: { readonly queue: Queue; readonly store: Store };
  /** What keeps those of the others, by the names that they call themselves. */
  readonly to: Readonly<Record<string, Pick<Queue, "push">>>;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** How many events of a kind are on their way to a cluster at a time. @default 32 */
  readonly concurrency?: number | undefined;
  /** After how long, in ms, another process gets what this one has and does not speak of: at least 300. @default 30000 */
  readonly lease?: number | undefined;
}

/** How far a cluster is behind, for one kind of events. */
export interface ReplicationLag {
  /** Where they go. */
  readonly cluster: string;
  /** What they are. */
  readonly event: string;
  /** How many have not arrived there. */
  readonly items: number;
  /** How long ago the oldest of them was published, in ms; 0 if there is none. */
  readonly age: number;
}

/** What one process has done for a cluster. */
export interface ReplicationStats {
  /** Where events go. */
  readonly cluster: string;
  /** Events that arrived there. */
  readonly sent: number;
  /** Events that had been there already. */
  readonly passed: number;
  /** Events that it will never take, and which are dead letters here. */
  readonly buried: number;
  /** Since when none arrives although one is on its way, in ms; 0 if all is well. */
  readonly stalled: number;
}

/** Brings events to other clusters. Disposing it stops it; what it has not brought waits for another one. */
export interface Replication extends AsyncDisposable {
  /** What this process has done since it began. */
  stats(): readonly ReplicationStats[];
  /** How far each cluster is behind. Rejects with what the queue rejects with. */
  lag(options?: { readonly signal?: AbortSignal | undefined }): Promise<readonly ReplicationLag[]>;
}
