import { failure, type Fault, type Result } from "../result.ts";
import type { Message } from "../message/message.ts";
import type { RouteCall, Router } from "../message/route.ts";
import type { Contract } from "../message/contract.ts";
import { type Host, Origin } from "../mediator/context.ts";
import type { Runtime } from "../ports/runtime.ts";
import { turnClock } from "../internal/turn_clock.ts";
import { messageOf } from "./call_frame.ts";
import type { Candidates } from "./candidates.ts";
import type { Handling } from "./handling.ts";
import { originOf } from "./received.ts";
import type { Caller, RemoteCall } from "./remote_call.ts";
import type { Target } from "./target.ts";
import type { Ways } from "./ways.ts";

/** What calls need of their node. */
export interface CallsHost {
  readonly runtime: Runtime;
  /** What handlers send through. */
  readonly host: Host;
  readonly candidates: Candidates;
  readonly handling: Handling;
  readonly ways: Ways;
  readonly zone: string | undefined;
  readonly attempts: number;
  readonly callTimeout: number;
}

/** The calls of a node that are under way, here and on other nodes. */
export class Calls implements Caller {
  readonly runtime: Runtime;
  readonly attempts: number;
  readonly zone: string | undefined;
  /** The time, read once for all calls of a turn. */
  readonly turn: () => number;
  /** Calls under way. */
  underWay: number = 0;
  /** Calls handed to other nodes. */
  sent: number = 0;
  /** Calls sent again. */
  failovers: number = 0;
  readonly #parts: CallsHost;
  readonly #plain: Origin = new Origin();

  constructor(parts: CallsHost) {
    const { runtime, attempts, zone, host } = parts;
    this.#parts = parts;
    this.runtime = runtime;
    this.attempts = attempts;
    this.zone = zone;
    this.turn = turnClock(() => runtime.clock.mono());
    this.#plain.host = host;
  }

  pick(router: Router, call: RouteCall, tried?: ReadonlySet<string>): Target | undefined {
    return this.#parts.candidates.pick(router, call, tried);
  }

  attempt(target: Target, call: RemoteCall): void {
    if (target.local) return this.#attemptHere(call);
    this.sent++;
    const outbound = this.#parts.ways.to(target);
    outbound.budget.earn(0.1);
    outbound.call(call);
  }

  mayRetry(id: string): boolean {
    return this.#parts.ways.mayRetry(id, this.runtime.clock.mono());
  }

  begins(): void {
    this.underWay++;
  }

  again(): void {
    this.failovers++;
  }

  finished(): void {
    this.underWay--;
  }

  /** When a call is over at the latest, by the runtime's `clock.mono()`, in ms. */
  deadlineOf(contract: Contract | undefined, origin: Origin | undefined): number {
    const given = origin?.deadline ?? Infinity;
    const limit = contract?.timeout ?? (given === Infinity ? this.#parts.callTimeout : Infinity);
    return Math.min(given, limit + this.turn());
  }

  /** This node itself is the one. */
  here(
    message: Message,
    origin: Origin | undefined,
    { traffic }: Target,
  ): Promise<Result<unknown, Fault>> {
    this.underWay++;
    const began = this.turn();
    traffic.began(began);
    return this.#parts.handling.dispatch(message, this.hosted(origin)).then((result) => {
      this.underWay--;
      const now = this.turn();
      traffic.ended("answered", now - began, now);
      return result;
    });
  }

  /** The same origin, with this node as the one that handlers send through. */
  hosted(origin: Origin | undefined): Origin {
    if (origin === undefined) return this.#plain;
    origin.host = this.#parts.host;
    return origin;
  }

  /** This node itself is the next one for a call that began elsewhere. */
  #attemptHere(call: RemoteCall): void {
    const { host, handling } = this.#parts;
    const { clock } = this.runtime;
    const now = clock.mono();
    const message = { ...call.message, remaining: call.deadline - now };
    const origin = originOf(message, host, now);
    origin.bounded = true;
    const refused = handling.admit(message, origin);
    if (refused !== undefined) {
      return queueMicrotask(() => call.settle(failure(refused), false, false));
    }
    call.onCancel = (fault) => origin.context?.cancel(fault);
    handling.dispatch(messageOf(message, "command"), origin).then((result) =>
      call.settle(result, true, true)
    );
  }
}
