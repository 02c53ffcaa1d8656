/** What a body has beyond the port where it is a stream of Node's. */
interface NodeBody {
  on?(event: "error", run: () => void): unknown;
  destroy?(): unknown;
}

/**
 * Ends a body that nobody will read, which gives its connection back; never throws. To leave the reading of a stream of
 * Node's that was never begun would end nothing.
 */
export function endBody(body: (AsyncIterable<Uint8Array> & NodeBody) | null): void {
  if (typeof body?.destroy === "function") {
    body.on?.("error", () => {});
    body.destroy();
    return;
  }
  void body?.[Symbol.asyncIterator]().return?.().then(undefined, () => {});
}
