import { failure, type Fault, type Result } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import type { RouteCall, Router } from "../message/route.ts";
import { cancelledFault, timeoutFault } from "../mediator/supervise.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { WireMessage } from "../wire/envelope.ts";
import { type Outcome, outcomeOf } from "./guard.ts";
import type { OpenFrame } from "./open_frame.ts";
import type { Target } from "./target.ts";

/** How long a call waits before it asks the same nodes again, in ms: up to twice as long each time. */
const DELAY = 25;
const LONGEST = 500;

/** What a remote call needs of its node. */
export interface Caller {
  readonly runtime: Runtime;
  /** Where the node stands. */
  readonly zone: string | undefined;
  /** The time of this turn, by the runtime's `clock.mono()`, in ms. */
  turn(): number;
  /** How many tries a call has at most. */
  readonly attempts: number;
  /** The next node for a call; `undefined` when all have been tried. */
  pick(router: Router, call: RouteCall, tried: ReadonlySet<string>): Target | undefined;
  /** Hands a try to a node; this node itself is one, too. */
  attempt(target: Target, call: RemoteCall): void;
  /** Whether the budget of a node allows that a call which failed there is sent again. */
  mayRetry(id: string): boolean;
  /** Takes note that a call goes to another node. */
  begins(): void;
  /** Takes note that a call is tried again. */
  again(): void;
  /** Takes note that a call is done. */
  finished(): void;
}

/**
 * One call until it has an answer: tried on another node when the first one provably started nothing, or when
 * starting it twice does no harm. Never tried twice otherwise.
 */
export class RemoteCall implements RouteCall {
  readonly message: WireMessage;
  readonly key: string | undefined;
  readonly deadline: number;
  done: boolean = false;
  /** Whether a handler, or what is around it, answered. */
  answered: boolean = false;
  /** The frame that its current try travels in, and its place there. */
  frame: OpenFrame | undefined = undefined;
  index: number = 0;
  /** Called when the call is given up while this node itself handles it. */
  onCancel: ((fault: Fault) => void) | undefined = undefined;
  /** Called when it has its answer. */
  onDone: (() => void) | undefined = undefined;
  readonly #caller: Caller;
  readonly #router: Router;
  readonly #idempotent: boolean;
  readonly #resolve: (result: Result<unknown, Fault>) => void;
  #attempts = 0;
  /** The node that its current try is on, and since when. */
  #target: Target | undefined = undefined;
  #since = 0;
  #tried: Set<string> | undefined = undefined;
  #wait: (() => void) | undefined = undefined;
  #started: Result<unknown, Fault> | undefined = undefined;

  constructor(
    caller: Caller,
    message: WireMessage,
    key: string | undefined,
    deadline: number,
    router: Router,
    idempotent: boolean,
    resolve: (result: Result<unknown, Fault>) => void,
  ) {
    this.#caller = caller;
    this.message = message;
    this.key = key;
    this.deadline = deadline;
    this.#router = router;
    this.#idempotent = idempotent;
    this.#resolve = resolve;
  }

  get type(): string {
    return this.message.type;
  }

  get zone(): string | undefined {
    return this.#caller.zone;
  }

  /** Tries a node. */
  start(target: Target): void {
    if (this.#attempts++ > 0) this.#caller.again();
    this.#target = target;
    this.#since = this.#caller.turn();
    target.traffic.began(this.#since);
    this.frame = undefined;
    this.#caller.attempt(target, this);
  }

  /** Takes what came of the current try. */
  settle(result: Result<unknown, Fault>, started: boolean, answered: boolean): void {
    if (this.done) return;
    const { id } = this.#target!;
    this.#tryEnded(outcomeOf(result, answered));
    if (result.ok || answered) {
      this.answered = true;
      return this.#finish(result);
    }
    if (started) this.#started = result;
    if (!this.#mayGoOn(result.error, started)) return this.#giveUp(result);
    if (this.#caller.runtime.clock.mono() >= this.deadline) return this.expire();
    const tried = this.#tried ??= new Set();
    tried.add(id);
    // The same message keeps its name, so that whoever gets it a second time can tell.
    if (this.frame !== undefined) this.message.id ??= this.frame.nameOf(this.index);
    // Nothing more that becomes of that frame is about this call.
    this.frame = undefined;
    const other = this.#caller.pick(this.#router, this, tried);
    if (other !== undefined && (!started || this.#caller.mayRetry(id))) return this.start(other);
    if (other === undefined && this.#caller.mayRetry(id)) return this.#again(result);
    this.#giveUp(result);
  }

  /** Ends it with a fault, whatever its try comes to. */
  fail(fault: Fault): void {
    if (!this.done) this.#finish(failure(fault));
  }

  /** Its deadline has passed. */
  expire(): void {
    this.fail(timeoutFault(this.type));
  }

  /** Gives the call up, here and where it runs. */
  cancel(): void {
    if (this.done) return;
    const fault = cancelledFault(this.type);
    this.fail(fault);
    this.frame?.cancel(this.index);
    this.onCancel?.(fault);
  }

  /** Whether another try can do good and cannot do harm. */
  #mayGoOn(fault: Fault, started: boolean): boolean {
    if (this.#attempts >= this.#caller.attempts) return false;
    if (fault.code === "UNAVAILABLE" || fault.code === "OVERLOADED" || fault.code === "NO_HANDLER") {
      return !started;
    }
    return fault.code === "TRANSPORT" && (!started || this.#idempotent);
  }

  /** All have been asked; they may come round. */
  #again(result: Result<unknown, Fault>): void {
    const { clock, random } = this.#caller.runtime;
    const wait = backoff(this.#attempts, DELAY, LONGEST, random.u32());
    if (clock.mono() + wait >= this.deadline) return this.#giveUp(result);
    this.#tried = undefined;
    this.#wait = clock.timer(wait, () => {
      const target = this.#caller.pick(this.#router, this, NONE);
      if (target === undefined) this.#giveUp(result);
      else this.start(target);
    });
  }

  /** Ends it unanswered. A try that nobody took does not undo an earlier one that may have run. */
  #giveUp(result: Result<unknown, Fault>): void {
    this.#finish(this.#started ?? result);
  }

  #tryEnded(outcome: Outcome): void {
    if (this.#target === undefined) return;
    const now = this.#caller.turn();
    this.#target.traffic.ended(outcome, now - this.#since, now);
    this.#target = undefined;
  }

  #finish(result: Result<unknown, Fault>): void {
    this.done = true;
    this.#tryEnded(outcomeOf(result, false));
    this.#wait?.();
    this.onDone?.();
    this.#caller.finished();
    this.#resolve(result);
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Gives a call up when one of the signals aborts, and lets go of them when it is done. */
export function cancelWith(call: RemoteCall, signals: readonly AbortSignal[]): void {
  const cancel = (): void => call.cancel();
  for (const signal of signals) signal.addEventListener("abort", cancel, { once: true });
  call.onDone = () => {
    for (const signal of signals) signal.removeEventListener("abort", cancel);
  };
}
