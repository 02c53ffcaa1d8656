import type { Order } from "./order.ts";

/** A queue of orders: what the queue row drives. */
export interface Jobs {
  /** Whether it is a bare limit, in which what others have in flight is one transaction or pipeline. */
  readonly isLimit?: boolean;
  /** Keeps one; resolves when it is kept. */
  readonly push: (order: Order) => unknown;
  /** Keeps several by one call. */
  readonly pushAll: (orders: readonly Order[]) => unknown;
  /** How many it keeps. */
  readonly kept: () => number | Promise<number>;
  /** Hands out so many, `concurrency` at a time at most, and settles when each was acknowledged. */
  readonly take: (count: number, concurrency: number, hear: (order: Order) => Promise<void>) => Promise<void>;
}

/** Where a candidate keeps its jobs. */
export interface Place {
  /** A folder of its own. */
  readonly folder: string;
  readonly durability: "power" | "process";
  /** Where the broker listens, if there is one. */
  readonly port: number;
}

export type MakeJobs = (place: Place) => Jobs | Promise<Jobs>;
