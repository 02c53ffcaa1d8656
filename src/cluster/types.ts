import type { Result } from "../result.ts";
import type { Behavior } from "../mediator/behavior.ts";
import type { Dispatcher, SendOptions } from "../mediator/types.ts";
import type { Answerable, FaultOf, Message, OutputOf, Streamable } from "../message/message.ts";
import type { Router } from "../message/route.ts";
import type { Backend } from "../ports/backend.ts";
import type { Capacity } from "./admission.ts";
import type { GuardOptions } from "./guard_types.ts";
import type { DeliveryOptions } from "./delivery_options.ts";
import type { ClusterHealth } from "./health_types.ts";
import type { HotKeyEvent, HotKeyOptions } from "./hot_keys.ts";
import type { QueryCacheOptions } from "./cache_types.ts";
import type { Explanation, Inspection } from "./inspect.ts";
import type { Leader } from "./leader.ts";
import type { Settings, SettingsSpec } from "./settings.ts";
import type { ShardMovedEvent, ShardOptions } from "./shards/shard_types.ts";
import type { LeaderTask } from "./singletons.ts";
import type { Codec } from "../ports/codec.ts";

/** Where a node is in its life. Only a `ready` one is given calls. */
export type Status = "joining" | "ready" | "draining" | "left";

/**
 * What a node is: a process with an address of its own, an object that is addressed by name, or a service whose one
 * address many instances share.
 */
export type NodeKind = "process" | "object" | "service";

/** A node as the others see it. */
export interface Member {
  /** Its name. */
  readonly id: string;
  /** Where other nodes reach it. */
  readonly endpoint: string;
  /** What it is. */
  readonly kind: NodeKind;
  /** Told apart from earlier lives of the same name; the larger is the later. */
  readonly incarnation: number;
  /** Where it is in its life. */
  readonly status: Status;
  /** The names of the messages it serves. */
  readonly contracts: readonly string[];
  /** Calls in flight there, as it said last. */
  readonly load: number;
  /** How late its event loop ran, as it said last, in ms. */
  readonly lag: number;
  /** How much of a processor it used, as it said last, from 0 to 1; `undefined` where it cannot tell. */
  readonly cpu: number | undefined;
  /** How much of its memory it used, as it said last, from 0 to 1; `undefined` where it cannot tell. */
  readonly memory: number | undefined;
  /** What it was joined with. */
  readonly tags: Readonly<Record<string, string>>;
  /** Where it stands, if it said. */
  readonly zone: string | undefined;
  /** Which version it runs, if it said. */
  readonly version: string | undefined;
  /** How much it takes compared with others. */
  readonly weight: number;
  /** Whether it is the node that was asked. */
  readonly local: boolean;
  /** Whether this node can reach it just now; a refused connection makes it false until it answers again. */
  readonly reachable: boolean;
  /** Whether nobody could reach it lately; unless it objects it will be declared dead. */
  readonly suspected: boolean;
  /** When it was last heard of, in ms since 1970 by this node's clock. */
  readonly lastSeen: number;
}

/** What happens in a cluster. */
export type ClusterEvent =
  | { readonly type: "joined" | "left" | "faulted" | "recovered" | "draining"; readonly member: Member }
  | { readonly type: "status"; readonly status: Status }
  | { readonly type: "leader"; readonly leader: Leader | undefined }
  | ShardMovedEvent
  | HotKeyEvent;

/** The whole cluster as one node sees it, and what changed last. */
export interface ClusterView {
  /** Grows with each change that this node saw. */
  readonly version: number;
  /** The same number on all nodes whose views hold the same nodes, saying the same of themselves. */
  readonly digest: number;
  /** All nodes known, ordered by name. */
  readonly members: readonly Member[];
  /** What changed since the view before; several changes where a slow reader skipped views. */
  readonly events: readonly ClusterEvent[];
}

/** How often nodes speak and how long they wait, in ms. */
export interface Timing {
  /** Between two heartbeats of a node; each goes to a few of the others in turn. */
  readonly heartbeat: number;
  /** How long a node that answers nobody has, from the first heartbeat it does not answer, until it counts as dead. */
  readonly timeout: number;
  /**
   * How long a heartbeat waits for its answer before others are asked to try; at most a third of the timeout.
   * @default the heartbeat, or a fifth of the timeout if that is less
   */
  readonly probe?: number;
}

/** What {@linkcode joinCluster} takes. */
export interface ClusterOptions {
  /** The node's name, unique in the cluster. */
  readonly node: string;
  /** Where other nodes reach it. */
  readonly endpoint: string;
  /** What the node stands on. */
  readonly backend: Backend;
  /** Picks nodes for messages whose contract does not. @default roundRobin() */
  readonly router?: Router;
  /** `fast` 200 ms / 1 s, `default` 1 s / 5 s, `relaxed` 10 s / 30 s, or explicit numbers. @default "default" */
  readonly timing?: "fast" | "default" | "relaxed" | Timing;
  /**
   * Layers around the sending of commands and queries, not of events and streams, the first one outermost;
   * the mediator's are around the handling.
   */
  readonly behaviors?: readonly Behavior[];
  /** How long a call to another node may take, in ms, when neither it nor its contract says. @default 30000 */
  readonly callTimeout?: number;
  /** How many nodes one call is tried on at most. @default 3 */
  readonly attempts?: number;
  /**
   * How many calls of other nodes are taken on at once. Beyond that callers are told `OVERLOADED` at once, which is
   * tried elsewhere. @default 16384, none waiting
   */
  readonly capacity?: Capacity;
  /** When nodes that fail or are slow are left out, and for how long. */
  readonly guard?: GuardOptions;
  /** Looks for keys that take more than their share of this node's calls, and tells of them; not if left out. */
  readonly hotKeys?: HotKeyOptions;
  /** How the shards of contracts find their owners. */
  readonly shards?: ShardOptions;
  /** How much is kept of the answers of queries whose contracts say so. */
  readonly cache?: QueryCacheOptions;
  /** The longest that leaving waits for calls in flight, in ms. @default 8000 */
  readonly drain?: number;
  /** Facts about the node for routers and people. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Where the node stands, such as a data centre. */
  readonly zone?: string;
  /** What nodes that do the same work call themselves: each reliable event goes to one of them. */
  readonly service?: string;
  /** How this node takes reliable events. */
  readonly deliveries?: DeliveryOptions;
  /** Which version of the application it runs. */
  readonly version?: string;
  /** How much it takes compared with others. @default 1 */
  readonly weight?: number;
  /** What the node is. @default "process" */
  readonly kind?: NodeKind;
  /** What messages are written as between nodes; the same on all. @default JSON */
  readonly codec?: Codec;
  /** Takes reliable events over a backend that keeps nothing; they may then be lost. @default false */
  readonly unsafe?: boolean;
}

/** What a node has counted since it joined. */
export interface NodeStats {
  /** Calls this node is answering just now. */
  readonly inFlight: number;
  /** Calls answered for other nodes. */
  readonly answered: number;
  /** Calls sent to other nodes. */
  readonly sent: number;
  /** Calls sent again to another node. */
  readonly failovers: number;
  /** Event notices that could not be delivered. */
  readonly dropped: number;
  /** Frames of other nodes that were refused: malformed, foreign or seen before. */
  readonly refused: number;
}

/** What one node answered to a broadcast. */
export interface NodeAnswer<M> {
  /** The node's name. */
  readonly node: string;
  /** What came of asking it. */
  readonly result: Result<OutputOf<M>, FaultOf<M>>;
}

/** What {@linkcode Node.enqueue} takes. */
export interface EnqueueOptions extends Omit<SendOptions, "route"> {
  /** How long the command is kept back, in ms, however long. @default 0 */
  readonly delay?: number | undefined;
}

/** A mediator in a cluster: the same verbs, answered by whichever node serves the message. */
export interface Node extends Dispatcher, AsyncDisposable {
  /** Its name. */
  readonly id: string;
  /** Where other nodes reach it. */
  readonly endpoint: string;
  /** Where it is in its life. */
  readonly status: Status;
  /**
   * Asks every node that serves a command or query, this one included, and waits for all; instances behind one address
   * (`kind: "service"`) are left out. One entry a node, whether it answered or failed. Never rejects.
   */
  broadcast<M extends Answerable>(message: M, options?: SendOptions): Promise<readonly NodeAnswer<M>[]>;
  /**
   * Keeps a command until one of the nodes that serve it has handled it, also after they were away; nobody hears its
   * answer. It may come twice, so its contract needs `idempotency`. Settles once the backend's queue has it. Never rejects.
   */
  enqueue(command: Message<"command">, options?: EnqueueOptions): Promise<Result<void>>;
  /** Who leads the cluster, as this node sees it; `undefined` while nobody does. */
  readonly leader: Leader | undefined;
  /**
   * Runs a task on whichever node leads, one run at a time, for as long as that leads: give it to every node. One that
   * fails runs again. Disposing the answer ends it.
   */
  singleton(name: string, task: LeaderTask): AsyncDisposable;
  /** Gives a node no calls of this one until it is restored, not even when nobody else is left. */
  isolate(id: string): void;
  /** Forgets what is against a node, and that it was isolated. */
  restore(id: string): void;
  /**
   * Settings of the whole cluster, read once and followed from then on; the same name is the same settings on all nodes.
   * Rejects with a `CatgaError`: `CONFLICT` on a backend without a store, else what the store fails with. Disposing the
   * answer ends it, and so does leaving.
   */
  settings<T>(name: string, spec: SettingsSpec<T>): Promise<Settings<T>>;
  /** Lets another node lead, if this one does and there is another. */
  resign(): Promise<void>;
  /** All nodes that this one knows of, itself included, ordered by name. */
  members(): readonly Member[];
  /** The whole view at once, then again after each change; a slow reader skips views, never the last one. */
  watch(options?: { readonly signal?: AbortSignal }): AsyncIterable<ClusterView>;
  /** What a health check shows. */
  health(): ClusterHealth;
  /** What it has counted. */
  stats(): NodeStats;
  /** All that it knows, as plain data. */
  inspect(): Inspection;
  /** Where a message would go and why. Sends nothing. */
  explain(message: Answerable | Streamable, options?: Pick<SendOptions, "route">): Explanation;
  /** Stops taking calls, finishes those in flight, says goodbye. The same as disposing; may be called twice. */
  leave(): Promise<void>;
}
