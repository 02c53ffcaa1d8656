import { failure, type Fault, type Result, systemFault } from "../result.ts";
import { createTurn } from "../internal/turn.ts";
import type { Kind, Message } from "../message/message.ts";
import type { Origin } from "../mediator/context.ts";
import { cancelledFault, timeoutFault } from "../mediator/supervise.ts";
import type { ExchangeOptions, Reply } from "../ports/transport.ts";
import { encodeReply, type ReceivedMessage } from "../wire/envelope.ts";
import type { Entrant } from "./admission.ts";
import { watchDeadlines } from "./expiry.ts";
import type { Inbound } from "./inbound.ts";

/** How many microtasks the calls of a frame have before they are watched: most are answered by then. */
const MOMENT = 12;

/** The calls of one frame from another node. What is answered in one turn travels back in one frame. */
export class CallFrame {
  readonly inbound: Inbound;
  readonly name: string;
  /** How long it may have waited while this node stood still, in ms. */
  readonly standstill: number;
  readonly #reply: Reply;
  readonly #options: ExchangeOptions;
  readonly #calls: readonly InboundCall[];
  readonly #turn: () => void;
  #replies: unknown[] = [];
  #missing: number;
  #unwatch: (() => void) | undefined;
  #resolve!: () => void;
  #reject!: (thrown: unknown) => void;

  constructor(
    inbound: Inbound,
    name: string,
    messages: readonly ReceivedMessage[],
    reply: Reply,
    options: ExchangeOptions,
  ) {
    this.inbound = inbound;
    this.name = name;
    this.standstill = inbound.link.standstill();
    this.#reply = reply;
    this.#options = options;
    this.#calls = messages.map((message, index) => new InboundCall(this, index, message));
    this.#missing = messages.length;
    this.#turn = createTurn(() => this.#replies.length, () => this.#flush());
  }

  /** Starts all calls; settles when all answers were taken. */
  run(): Promise<void> {
    if (this.#missing === 0) return Promise.resolve();
    this.inbound.inFlight += this.#missing;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      for (const call of this.#calls) call.start();
      this.#watchAfter(MOMENT);
    });
  }

  /** The caller of one of them waits no longer. */
  cancel(index: number): void {
    this.#calls[index]?.cancel();
  }

  /** Takes the answer of one of them. */
  answer(index: number, result: Result<unknown, Fault>, answered: boolean): void {
    this.#replies.push(encodeReply(index, result, answered));
    this.inbound.inFlight--;
    this.inbound.answered++;
    if (--this.#missing === 0) this.#unwatch?.();
    this.#turn();
  }

  #watchAfter(moment: number): void {
    if (this.#missing === 0) return;
    if (moment > 0) return queueMicrotask(() => this.#watchAfter(moment - 1));
    const { open, link } = this.inbound;
    const { signal } = this.#options;
    const abort = (): void => {
      for (const call of this.#calls) call.cancel();
    };
    const pending = (call: InboundCall): boolean => !call.settled;
    const stop = watchDeadlines(link.runtime.clock, this.#calls, pending, (call) => call.expire());
    open.set(this.name, this);
    signal?.addEventListener("abort", abort, { once: true });
    this.#unwatch = () => {
      stop();
      open.delete(this.name);
      signal?.removeEventListener("abort", abort);
    };
    if (signal?.aborted) abort();
  }

  #flush(): void {
    const replies = this.#replies;
    const last = this.#missing === 0;
    this.#replies = [];
    let sent;
    try {
      if (replies.length > 0) sent = this.#send(replies);
    } catch (thrown) {
      return this.#reject(thrown);
    }
    if (!last) return;
    if (sent === undefined) this.#resolve();
    else sent.then(this.#resolve, this.#reject);
  }

  /** One answer that cannot be encoded must not take the others with it. */
  #send(replies: readonly unknown[]): void | Promise<void> {
    let frame;
    try {
      frame = this.inbound.encode("call", replies);
    } catch {
      frame = this.inbound.encode("call", replies.map((reply) => this.#encodable(reply)));
    }
    return this.#reply(frame);
  }

  #encodable(reply: unknown): unknown {
    try {
      this.inbound.encode("call", [reply]);
      return reply;
    } catch (thrown) {
      const [index] = reply as readonly [number];
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      const { type } = this.#calls[index]!.message;
      return encodeReply(
        index,
        failure(systemFault("SERIALIZATION", `The answer to "${type}" cannot be sent: ${why}`)),
      );
    }
  }
}

/** One call of another node. */
class InboundCall implements Entrant {
  readonly message: ReceivedMessage;
  settled: boolean = false;
  readonly #frame: CallFrame;
  readonly #index: number;
  readonly #origin: Origin;

  constructor(frame: CallFrame, index: number, message: ReceivedMessage) {
    this.#frame = frame;
    this.#index = index;
    this.message = message;
    this.#origin = frame.inbound.originOf(message);
    if (message.id === undefined) this.#origin.name = () => `${frame.name}.${index}`;
  }

  get deadline(): number {
    return this.#origin.deadline;
  }

  start(): void {
    const { inbound } = this.#frame;
    const { engine } = inbound;
    const { type, remaining } = this.message;
    if (remaining <= 0) return this.#settle(failure(timeoutFault(type)), false);
    if (remaining <= this.#frame.standstill) {
      return this.#refuse(
        "UNAVAILABLE",
        `"${type}" met a node that stood still, perhaps until its time was over`,
      );
    }
    if (inbound.full) {
      return this.#refuse("OVERLOADED", `"${type}" met a node that has no room for another call`);
    }
    if (!engine.answers(type)) {
      return this.#refuse("NO_HANDLER", `"${type}" has no handler on the node it was sent to`);
    }
    if (inbound.admission === undefined) this.#dispatch();
    else inbound.admission.enter(this);
  }

  begin(): void {
    this.#dispatch().then(() => {
      // A handler that goes on after its caller has gone keeps its place.
      const leave = (): void => this.#frame.inbound.admission!.leave();
      const { stillHandled = undefined } = this.#origin.context ?? {};
      if (stillHandled === undefined) leave();
      else stillHandled.then(leave, leave);
    });
  }

  turnAway(): void {
    this.#refuse("OVERLOADED", `"${this.message.type}" met a node that has all the calls it can take`);
  }

  #dispatch(): Promise<void> {
    const { handling } = this.#frame.inbound;
    const refused = handling.admit(this.message, this.#origin);
    if (refused !== undefined) {
      this.#settle(failure(refused), false);
      return Promise.resolve();
    }
    return handling.dispatch(messageOf(this.message, "command"), this.#origin).then((result) =>
      this.#settle(result, true)
    );
  }

  expire(): void {
    this.#give(timeoutFault(this.message.type));
  }

  cancel(): void {
    this.#give(cancelledFault(this.message.type));
  }

  #refuse(code: "OVERLOADED" | "NO_HANDLER" | "UNAVAILABLE", message: string): void {
    this.#settle(failure(systemFault(code, message)), false);
  }

  /** Answers with a fault and tells the handler that nobody waits. */
  #give(fault: Fault): void {
    if (this.settled) return;
    this.#settle(failure(fault), true);
    this.#frame.inbound.admission?.forget(this);
    this.#origin.context?.cancel(fault);
  }

  #settle(result: Result<unknown, Fault>, answered: boolean): void {
    if (this.settled) return;
    this.settled = true;
    this.#frame.answer(this.#index, result, answered);
  }
}

/** A message from the wire as one to be dispatched. */
export function messageOf({ type, body }: ReceivedMessage, kind: Kind): Message {
  return { kind, type, body };
}
