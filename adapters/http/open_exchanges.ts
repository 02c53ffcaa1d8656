import { CatgaError, systemFault } from "../../src/result.ts";
import type { Peer, Reply } from "../../src/ports/transport.ts";
import { failure } from "./read_reply.ts";

/** Sends a frame and hands on its replies, until its signal aborts. */
export type Send = (take: Reply, signal: AbortSignal) => Promise<void>;

/** The exchanges of a node that wait for replies: each can be given up, and all of them end with the transport. */
export class OpenExchanges {
  readonly #open: Set<(error: CatgaError) => void> = new Set();
  #closed = false;

  /** Runs an exchange. Rejects with a `CatgaError` as `Transport.exchange` does. */
  run(to: Peer, reply: Reply, signal: AbortSignal | undefined, send: Send): Promise<void> {
    if (signal?.aborted) return Promise.reject(cancelled(to));
    if (this.#closed) return Promise.reject(failure("UNAVAILABLE", to, "this node's transport is closed"));
    return new Promise((resolve, reject) => {
      const controller = new AbortController();
      let over = false;
      let leave: ((error: CatgaError) => void) | undefined;
      const end = (): boolean => {
        if (over) return false;
        over = true;
        this.#open.delete(giveUp);
        signal?.removeEventListener("abort", cancel);
        return true;
      };
      const giveUp = (error: CatgaError): void => {
        if (!end()) return;
        reject(error);
        leave?.(error);
        controller.abort();
      };
      const cancel = (): void => giveUp(cancelled(to));
      const take: Reply = (frame) => {
        if (over) return;
        let taken: void | Promise<void>;
        try {
          taken = reply(frame);
        } catch (thrown) {
          throw untaken(to, thrown);
        }
        if (taken === undefined) return;
        // A reply that is never taken must not keep an exchange that was given up.
        const left = new Promise<never>((_, reject) => leave = reject);
        return Promise.race([taken, left]).catch((thrown) => Promise.reject(untaken(to, thrown)));
      };
      this.#open.add(giveUp);
      signal?.addEventListener("abort", cancel, { once: true });
      send(take, controller.signal).then(
        () => end() && resolve(),
        (error) => end() && reject(error),
      );
    });
  }

  /** Ends all of them with `TRANSPORT`, and takes no others. */
  close(): void {
    this.#closed = true;
    for (const giveUp of [...this.#open]) {
      giveUp(
        new CatgaError(systemFault("TRANSPORT", "The node closed its transport before the answer came")),
      );
    }
  }
}

/** Whatever a caller fails with says nothing of whether the frame was received: it was. */
function untaken(to: Peer, thrown: unknown): CatgaError {
  return failure("TRANSPORT", to, "a reply of it could not be taken", thrown);
}

function cancelled(to: Peer): CatgaError {
  return new CatgaError(
    systemFault("CANCELLED", `Gave up the exchange with node "${to.id}": its signal aborted`),
  );
}
