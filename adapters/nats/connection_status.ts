import type { NatsConnection, Status } from "@nats-io/nats-core";
import type { Runtime } from "../../src/ports/runtime.ts";

/** How a connection is: `away` while it looks for a server. */
export type NatsStatus = "connected" | "away" | "closed";

/** How long a connection that was found dead may take to say that it is gone, in ms. */
const STUCK = 1500;

const EVENTS: Readonly<Record<NatsStatus, string>> = {
  connected: "reconnected",
  away: "lost",
  closed: "closed",
};
const LEVELS = { connected: "info", away: "warn", closed: "error" } as const;

/** Follows how a connection is, and logs it. */
export class ConnectionStatus {
  readonly #connection: NatsConnection;
  readonly #runtime: Runtime;
  readonly #listeners: Set<(status: NatsStatus) => void> = new Set();
  readonly #forbidden: Set<(subject: string) => void> = new Set();
  #current: NatsStatus = "connected";
  #closing = false;

  constructor(connection: NatsConnection, runtime: Runtime) {
    this.#connection = connection;
    this.#runtime = runtime;
    runtime.background(this.#follow());
    runtime.background(connection.closed().then((why) => this.#closed(why)));
  }

  get current(): NatsStatus {
    return this.#current;
  }

  /** Hears of each change; answers what ends that. */
  listen(listener: (status: NatsStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Hears of subjects that nothing may be sent to; answers what ends that. */
  listenForbidden(listener: (subject: string) => void): () => void {
    this.#forbidden.add(listener);
    return () => void this.#forbidden.delete(listener);
  }

  /** It is about to be closed: nothing to worry about. */
  closing(): void {
    this.#closing = true;
    this.#become("closed", "");
  }

  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) this.#take(status);
  }

  #take(status: Status): void {
    switch (status.type) {
      case "staleConnection":
        this.#become("away", "The NATS server does not answer any more");
        return this.#unstick();
      case "forceReconnect":
        return this.#unstick();
      case "disconnect":
        return this.#become("away", `The connection to NATS at ${status.server} was lost`);
      case "reconnect":
        return this.#become("connected", `Connected to NATS again, at ${status.server}`);
      case "ldm":
        return this.#log("warn", "leaving", `The NATS server at ${status.server} is about to stop`);
      case "error":
        this.#refused(status.error);
        return this.#log("warn", "error", `NATS said: ${status.error.message}`);
      case "slowConsumer":
        return this.#log("warn", "slow", `${status.pending} messages of NATS wait to be taken`);
      default:
    }
  }

  #refused(error: Error): void {
    const { name, operation, subject } = error as Error & { operation?: string; subject?: string };
    if (name !== "PermissionViolationError" || operation !== "publish" || subject === undefined) return;
    for (const listener of [...this.#forbidden]) listener(subject);
  }

  /** One that is found dead first wants to send what it has, which the other side may never take. */
  #unstick(): void {
    const { transport } = (this.#connection as unknown as Inside).protocol ?? {};
    this.#runtime.clock.timer(STUCK, () => {
      const now = (this.#connection as unknown as Inside).protocol?.transport;
      if (now === transport && this.#current !== "connected") {
        void transport?.close(new Error("It was found dead"));
      }
    });
  }

  #closed(why: void | Error): void {
    const reason = why instanceof Error ? why.message : "somebody else closed it";
    this.#become("closed", `The connection to NATS is closed for good: ${reason}`);
  }

  /** The client may say the same twice: once for each try that failed. */
  #become(status: NatsStatus, message: string): void {
    if (this.#current === status || this.#current === "closed") return;
    this.#current = status;
    this.#log(LEVELS[status], EVENTS[status], message);
    for (const listener of [...this.#listeners]) listener(status);
  }

  #log(level: "info" | "warn" | "error", event: string, message: string): void {
    if (this.#closing) return;
    this.#runtime.log({ level, event: `nats.${event}`, message });
  }
}

/** What the client does not show; where it is not there, nothing is unstuck. */
interface Inside {
  readonly protocol?: { readonly transport?: { close(error: Error): Promise<void> } };
}
