import type { Fault } from "../result.ts";
import type { DoneMarks, Tries } from "../durable/consumer_types.ts";
import type { Host } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { Delivery, Queue } from "../ports/queue.ts";
import type { Store } from "../ports/store.ts";
import type { readDeliveries } from "./delivery_options.ts";

/** What reliable events need of their node. */
export interface ReliableHost {
  readonly engine: Engine;
  /** What handlers send through. */
  readonly host: Host;
  readonly queue: Queue;
  /** Where it is kept how often deliveries failed. */
  readonly store: Store;
  readonly node: string;
  /** What the nodes that do the same work are called together. */
  readonly service: string | undefined;
  readonly options: ReturnType<typeof readDeliveries>;
  /** How long storing an event or handling it once may take, in ms, where nobody says. */
  readonly timeout: number;
  /** Remembers deliveries of QoS 2 for so many ms. */
  marks(window: number): DoneMarks;
  /** Keeps what will never be handled. */
  bury(topic: string, group: string, delivery: Delivery, fault: Fault, tries: Tries): Promise<void>;
}
