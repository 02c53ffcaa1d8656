import { CatgaError, systemFault } from "../../src/result.ts";

/** How bytes get to a server. */
export type ConnectionKind = "WebSocket" | "TCP";

const held: Record<ConnectionKind, number> = { WebSocket: 0, TCP: 0 };

/**
 * Takes note of a connection of a kind; answers what is to be called when it is closed for good. Throws `CONFLICT` while
 * there are some of the other kind: `@nats-io/nats-core` has one way to connect a process, so after an outage those of
 * the first kind would try to come back by the way of the second, for ever in vain.
 */
export function holdKind(kind: ConnectionKind): () => void {
  const other = kind === "TCP" ? "WebSocket" : "TCP";
  if (held[other] > 0) {
    const message = `Cannot connect to NATS by ${kind}: this process has connections by ${other}, and ` +
      `@nats-io/nats-core can bring back only one kind after an outage. Use ${other} for all, or close those first`;
    throw new CatgaError(systemFault("CONFLICT", message));
  }
  held[kind]++;
  let release = (): void => {
    held[kind]--;
    release = () => {};
  };
  return () => release();
}
