import { ErrorReply } from "@redis/client";

/** The part of a cluster client that finds who has a key. */
export interface ClusterLike<Owner> {
  /** Sends a command, and follows wherever the cluster leads. */
  sendCommand(key: string, isReadonly: boolean, words: string[]): Promise<unknown>;
  /** The connection to who has a key, as far as the client knows. */
  getNodeClientForKey(key: string): Promise<Owner>;
}

/** How often a slot may turn out to be elsewhere. */
const TRIES = 4;

/** Asks who has a key, and nobody else: what belongs together is refused with `TRYAGAIN` while the slot moves. */
export async function askOwner<Owner, T>(
  cluster: ClusterLike<Owner>,
  key: string,
  ask: (owner: Owner) => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await ask(await cluster.getNodeClientForKey(key));
    } catch (thrown) {
      if (!(thrown instanceof ErrorReply && /^(?:ASK|MOVED) /.test(thrown.message))) throw thrown;
      if (thrown.message.startsWith("ASK ") || tries === TRIES) {
        throw new ErrorReply("TRYAGAIN its slot is moving just now");
      }
    }
    // Follows, and so learns where slots are.
    await cluster.sendCommand(key, true, ["TYPE", key]);
  }
}
