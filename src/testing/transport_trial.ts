import { CatgaError } from "../result.ts";
import type { ExchangeOptions, Frame, Peer, Receiver, Reply } from "../ports/transport.ts";
import type { TransportNode, TransportUnderTest } from "./transport_conformance.ts";

/** How often a check looks for what comes later, and how much of a pause it waits each time. */
const LOOKS = 400;
const LOOK = 0.2;

/** An exchange on its way. */
export interface Sent {
  readonly replies: Frame[];
  /** How it ended: `ok`, or the code of its failure; `open` until then. */
  end: string;
  /** Gives it up. */
  cancel(): void;
}

/** What an exchange differs in from most. */
export interface SendOptions {
  readonly from?: TransportNode;
  readonly to?: Peer;
  /** Takes the replies, which are noted in any case. */
  readonly reply?: Reply;
  readonly signal?: AbortSignal;
}

/** A frame that a receiver was given and has not answered to the end. */
export interface Held {
  readonly frame: Frame;
  readonly reply: Reply;
  readonly options: ExchangeOptions;
  finish(): void;
  refuse(thrown: unknown): void;
}

/** What one check works with. */
export class TransportTrial {
  readonly subject: TransportUnderTest;
  /** In bytes. */
  readonly size: number;
  readonly #pause: number;
  readonly #faults: string[] = [];
  readonly #cancels: (() => void)[] = [];
  readonly #held: Held[] = [];

  constructor(subject: TransportUnderTest, pause: number, size: number) {
    this.subject = subject;
    this.size = size;
    this.#pause = pause;
  }

  /** Waits long enough to see that something does not happen. */
  pause(): Promise<void> {
    return this.subject.pass(this.#pause);
  }

  serve(receiver: Receiver, node: TransportNode = this.subject.receiver): Promise<AsyncDisposable> {
    return node.transport.serve(node.self, receiver);
  }

  /** Serves a receiver that answers nothing by itself. */
  async hold(): Promise<{ readonly all: readonly Held[]; readonly served: AsyncDisposable }> {
    const all: Held[] = [];
    const served = await this.serve((frame, reply, options) =>
      new Promise((finish, refuse) => {
        const held = { frame, reply, options, finish, refuse };
        all.push(held);
        this.#held.push(held);
      })
    );
    return { all, served };
  }

  /** Begins an exchange, and keeps an eye on what comes back. */
  send(frame: Frame, options: SendOptions = {}): Sent {
    const { from = this.subject.caller, to = this.subject.receiver.self, reply, signal } = options;
    const controller = new AbortController();
    const sent: Sent = { replies: [], end: "open", cancel: () => controller.abort() };
    this.#cancels.push(sent.cancel);
    let taking = 0;
    const take: Reply = (answer) => {
      if (sent.end !== "open") {
        this.#faults.push(`A reply came after the exchange had ended with ${sent.end}`);
      }
      if (taking > 0) this.#faults.push("A reply came while the one before it was being taken");
      sent.replies.push(answer);
      const wait = reply?.(answer);
      if (wait === undefined) return;
      taking++;
      return wait.finally(() => taking--);
    };
    const end = (how: string): void => {
      if (how === "ok" && taking > 0) this.#faults.push("The exchange ended while a reply was being taken");
      sent.end = how;
    };
    from.transport.exchange(to, frame, take, { signal: signal ?? controller.signal }).then(
      () => end("ok"),
      (thrown: unknown) => end(CatgaError.is(thrown) ? thrown.code : `no CatgaError: ${String(thrown)}`),
    );
    return sent;
  }

  /** How an exchange ends. */
  async ended(sent: Sent): Promise<string> {
    await this.eventually("the exchange ends", () => sent.end !== "open");
    return sent.end;
  }

  /** The replies of an exchange that must go well. */
  async ask(frame: Frame, options: SendOptions = {}): Promise<readonly Frame[]> {
    const sent = this.send(frame, options);
    const end = await this.ended(sent);
    if (end !== "ok") throw new Error(`An exchange ended with ${end}, wanted ok`);
    return sent.replies;
  }

  /** The only frame that a receiver holds, once it is there. */
  async one(all: readonly Held[]): Promise<Held> {
    await this.eventually("the receiver gets the frame", () => all.length > 0);
    if (all.length > 1) throw new Error(`Wanted one frame, but the receiver got ${all.length}`);
    return all[0]!;
  }

  /** Waits until something is so. */
  async eventually(what: string, holds: () => boolean): Promise<void> {
    for (let looks = 0; looks < LOOKS; looks++) {
      if (holds()) return;
      await this.subject.pass(LOOK * this.#pause);
    }
    throw new Error(`Expected, but did not happen: ${what}`);
  }

  /** Waits for something that has to settle well. */
  async settles(what: string, work: PromiseLike<unknown> | void): Promise<void> {
    let how: string | undefined;
    Promise.resolve(work).then(() => how = "", (thrown: unknown) => how = `: ${String(thrown)}`);
    await this.eventually(`${what} settles`, () => how !== undefined);
    if (how !== "") throw new Error(`Rejected: ${what}${how}`);
  }

  /** Throws when something came back out of turn. */
  judge(): void {
    if (this.#faults.length > 0) throw new Error(this.#faults[0]);
  }

  /** Leaves nothing open. */
  async close(): Promise<void> {
    for (const cancel of this.#cancels) cancel();
    for (const held of this.#held) held.finish();
    const { caller, receiver, rival } = this.subject;
    const ending = [caller, receiver, rival].map((node) => node?.transport[Symbol.asyncDispose]());
    await this.settles("disposing the transports", Promise.all(ending));
  }
}

/** What the receiver of an exchange is told of its caller by. */
export function signalOf({ options }: Pick<Held, "options">): AbortSignal {
  if (options.signal === undefined) throw new Error("The receiver was given no signal");
  return options.signal;
}

/** Answers with the frame itself. */
export const echo: Receiver = async (frame, reply) => {
  await reply(frame);
};

/** Throws unless two frames are the same, to the last byte. */
export function sameFrame(what: string, found: Frame | undefined, wanted: Frame): void {
  if (typeof found === "string" || typeof wanted === "string") {
    if (found !== wanted) throw new Error(`${what}: found ${shown(found)}, wanted ${shown(wanted)}`);
    return;
  }
  const bytes = found instanceof Uint8Array && found.length === wanted.length;
  if (!bytes || found.some((byte, at) => byte !== wanted[at])) {
    throw new Error(`${what}: found ${shown(found)}, wanted ${shown(wanted)}`);
  }
}

function shown(frame: Frame | undefined): string {
  if (frame === undefined) return "none";
  const start = typeof frame === "string" ? JSON.stringify(frame.slice(0, 20)) : [...frame.slice(0, 8)];
  return `${typeof frame === "string" ? "text" : "bytes"} of ${frame.length} (${String(start)})`;
}
