import { failure, type Fault, type Result } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import type { RouteCall, Router } from "../message/route.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { WireMessage } from "../wire/envelope.ts";
import { OutboundCall, type Outcome } from "./outbound.ts";
import type { Member } from "./types.ts";

/** How long a call waits before it asks the same nodes again, in ms: up to twice as long each time. */
const DELAY = 25;
const LONGEST = 500;

/** What a remote call needs of its node. */
export interface Caller {
  readonly runtime: Runtime;
  /** How many tries a call has at most. */
  readonly attempts: number;
  /** The next node for a call; `undefined` when all have been tried. */
  pick(router: Router, call: RouteCall, tried: ReadonlySet<string>): Member | undefined;
  /** Hands a try to a node; this node itself is one, too. */
  attempt(member: Member, call: OutboundCall): void;
  /** Whether the budget of a node allows that a call which failed there is sent again. */
  mayRetry(id: string): boolean;
  /** The fault when no node serves the message. */
  nobody(type: string): Fault;
}

/** What a call is routed by. */
export interface Plan {
  readonly message: WireMessage;
  readonly deadline: number;
  readonly idempotent: boolean;
  readonly router: Router;
  readonly route: RouteCall;
}

/**
 * One call until it has an answer: tried on another node when the first one provably started nothing, or when
 * starting it twice does no harm. Never tried twice otherwise.
 */
export class RemoteCall {
  readonly #caller: Caller;
  readonly #plan: Plan;
  readonly #resolve: (result: Result<unknown, Fault>) => void;
  #tried: Set<string> | undefined;
  #attempts = 0;
  #member: Member | undefined;
  #current: OutboundCall | undefined;
  #wait: (() => void) | undefined;
  #done = false;

  constructor(caller: Caller, plan: Plan, resolve: (result: Result<unknown, Fault>) => void) {
    this.#caller = caller;
    this.#plan = plan;
    this.#resolve = resolve;
  }

  /** Tries a node. */
  start(member: Member): void {
    this.#attempts++;
    this.#member = member;
    const { message, deadline } = this.#plan;
    this.#current = new OutboundCall(message, deadline, (outcome) => this.#take(outcome));
    this.#caller.attempt(member, this.#current);
  }

  /** Gives the call up, here and where it runs. */
  cancel(): void {
    if (this.#done) return;
    this.#wait?.();
    this.#finish(failure(cancelledFault(this.#plan.message.type)));
    this.#current?.cancel();
  }

  #take({ result, started, answered }: Outcome): void {
    if (this.#done) return;
    if (result.ok || answered || !this.#mayGoOn(result.error, started)) return this.#finish(result);
    const tried = this.#tried ??= new Set();
    tried.add(this.#member!.id);
    const other = this.#caller.pick(this.#plan.router, this.#plan.route, tried);
    if (other !== undefined && (!started || this.#caller.mayRetry(this.#member!.id))) {
      return this.start(other);
    }
    if (other === undefined && this.#caller.mayRetry(this.#member!.id)) return this.#again(result);
    this.#finish(result);
  }

  /** Whether another try can do good and cannot do harm. */
  #mayGoOn(fault: Fault, started: boolean): boolean {
    if (this.#attempts >= this.#caller.attempts) return false;
    if (fault.code === "UNAVAILABLE" || fault.code === "OVERLOADED" || fault.code === "NO_HANDLER") {
      return !started;
    }
    return fault.code === "TRANSPORT" && (!started || this.#plan.idempotent);
  }

  /** All have been asked; they may come round. */
  #again(result: Result<unknown, Fault>): void {
    const { clock, random } = this.#caller.runtime;
    const wait = backoff(this.#attempts, DELAY, LONGEST, random.u32());
    if (clock.mono() + wait >= this.#plan.deadline) return this.#finish(result);
    this.#tried = undefined;
    this.#wait = clock.timer(wait, () => {
      const member = this.#caller.pick(this.#plan.router, this.#plan.route, new Set());
      if (member === undefined) this.#finish(result);
      else this.start(member);
    });
  }

  #finish(result: Result<unknown, Fault>): void {
    this.#done = true;
    this.#resolve(result);
  }
}
