import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/**
 * How a link is: `silent` takes connections and holds what both sides say, `unanswered` holds what the server says,
 * `refused` breaks connections and takes no new ones.
 */
export type LinkState = "open" | "silent" | "unanswered" | "refused";

/** Bytes that a link holds for one side of a connection; beyond that the connection breaks. */
const HELD = 16 * 1024 * 1024;

/** One way by which connections reach a server, which can be cut while other ways to it stay whole. */
export class Link implements AsyncDisposable {
  readonly #target: number;
  readonly #connections: Set<Connection> = new Set();
  #server: Server | undefined;
  #port = 0;
  #state: LinkState = "open";

  private constructor(target: number) {
    this.#target = target;
  }

  /** Makes a way to a port of this machine. */
  static async to(target: number): Promise<Link> {
    const link = new Link(target);
    await link.#listen();
    return link;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Cuts it or makes it whole. What a silent link held goes on its way. */
  async set(state: LinkState): Promise<void> {
    this.#state = state;
    if (state === "refused") {
      for (const connection of this.#connections) connection.break();
      const server = this.#server;
      this.#server = undefined;
      if (server !== undefined) await new Promise((resolve) => server.close(resolve));
      return;
    }
    for (const connection of this.#connections) connection.hold(state);
    if (this.#server === undefined) await this.#listen();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.set("refused");
  }

  #listen(): Promise<void> {
    const server = this.#server = createServer((client) => this.#take(client));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", () => {
        this.#port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #take(client: Socket): void {
    if (this.#state === "refused") return void client.destroy();
    const server = connect(this.#target, "127.0.0.1");
    const connection = new Connection(client, server, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    connection.hold(this.#state);
  }
}

/** Two sockets that say to one the other what they hear. */
class Connection {
  readonly #requests: Flow;
  readonly #answers: Flow;
  readonly #sockets: readonly Socket[];
  readonly #ended: () => void;

  constructor(client: Socket, server: Socket, ended: () => void) {
    const end = (): void => this.break();
    this.#requests = new Flow(client, server, end);
    this.#answers = new Flow(server, client, end);
    this.#sockets = [client, server];
    this.#ended = ended;
  }

  hold(state: LinkState): void {
    this.#requests.hold(state === "silent");
    this.#answers.hold(state !== "open");
  }

  break(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#ended();
  }
}

/** What one socket hears and another says. */
class Flow {
  readonly #waiting: (() => void)[] = [];
  readonly #end: () => void;
  #bytes = 0;
  #held = false;

  constructor(from: Socket, to: Socket, end: () => void) {
    this.#end = end;
    from.setNoDelay(true);
    from.on("data", (bytes: Uint8Array) => this.#pass(() => to.write(bytes), bytes.length));
    from.on("end", () => this.#pass(() => to.end(), 0));
    from.on("close", () => this.#pass(end, 0));
    from.on("error", () => {});
  }

  hold(held: boolean): void {
    this.#held = held;
    if (held) return;
    this.#bytes = 0;
    for (const pass of this.#waiting.splice(0)) pass();
  }

  /** Does something now, or when nothing is held any more. */
  #pass(pass: () => void, bytes: number): void {
    if (!this.#held) return pass();
    this.#waiting.push(pass);
    this.#bytes += bytes;
    if (this.#bytes > HELD) this.#end();
  }
}
