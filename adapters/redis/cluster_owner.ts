/** The part of a node-redis cluster client that finds who has a key. */
export interface ClusterLike<Options = undefined> {
  /** Sends a command, and follows wherever the cluster leads. */
  sendCommand(
    key: string | undefined,
    isReadonly: boolean | undefined,
    words: string[],
    options?: Options,
  ): Promise<unknown>;
  /** The connection to who has a key, as far as the client knows. */
  getNodeClientForKey(
    key: string,
  ): Promise<{ sendCommand(words: string[], options?: Options): Promise<unknown> }>;
}

/** How often a slot may turn out to be elsewhere. */
const TRIES = 4;

/**
 * Sends a script to who has its first key, and nowhere else. While a slot moves, node-redis would follow `ASK` to the
 * other node, and a script that finds further keys by its first one would see there that there is nothing.
 *
 * @param isError whether Redis itself has said so
 */
export async function sendToOwner<Options>(
  cluster: ClusterLike<Options>,
  key: string,
  words: readonly string[],
  isError: (thrown: unknown) => thrown is Error,
  options?: Options,
): Promise<unknown> {
  for (let tries = 1;; tries++) {
    const owner = await cluster.getNodeClientForKey(key);
    try {
      return await owner.sendCommand([...words], options);
    } catch (thrown) {
      if (!isError(thrown) || !/^(?:ASK|MOVED) /.test(thrown.message)) throw thrown;
      if (thrown.message.startsWith("ASK ") || tries === TRIES) {
        thrown.message = "TRYAGAIN its slot is moving just now";
        throw thrown;
      }
    }
    // Follows, and so learns where slots are.
    await cluster.sendCommand(key, true, ["TYPE", key]);
  }
}
