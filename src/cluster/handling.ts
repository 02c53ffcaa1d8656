import type { Fault, Result, SystemFault } from "../result.ts";
import type { Message } from "../message/message.ts";
import type { Origin } from "../mediator/context.ts";
import type { Caching } from "./caching.ts";
import type { Shards } from "./shards/shards.ts";

/** Handles messages on this node, whoever sent them. */
export class Handling {
  readonly caching: Caching;
  readonly shards: Shards;
  readonly #next: (message: Message, origin: Origin | undefined) => Promise<Result<unknown, Fault>>;

  constructor(caching: Caching, shards: Shards) {
    this.caching = caching;
    this.shards = shards;
    this.#next = caching.dispatch.bind(caching);
  }

  /** Why a message cannot be handled here just now; `undefined` when it can, which is then begun. */
  admit(
    message: { readonly type: string; readonly body: unknown },
    origin: Origin,
  ): SystemFault | undefined {
    return this.shards.admit(message, origin);
  }

  /** Handles a message that was let in. */
  dispatch(message: Message, origin: Origin | undefined): Promise<Result<unknown, Fault>> {
    return this.shards.dispatch(message, origin, this.#next);
  }
}
