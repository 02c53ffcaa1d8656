import { failure, type Fault, faultOf, type Result } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import { type Behavior, compose } from "../mediator/behavior.ts";
import { type Host, MessageContext, Origin } from "../mediator/context.ts";
import type { Step } from "../mediator/types.ts";
import type { Runtime } from "../ports/runtime.ts";

/** Sends a message of a contract on its way. */
export type Route = (
  message: Message,
  origin: Origin | undefined,
  contract: Contract,
) => Promise<Result<unknown, Fault>>;

/** The layers around the sending of commands and queries, composed once per contract. */
export class CallerSide {
  readonly #behaviors: readonly Behavior[];
  readonly #runtime: Runtime;
  readonly #route: Route;
  readonly #steps: Map<Contract, Step> = new Map();

  constructor(behaviors: readonly Behavior[], runtime: Runtime, route: Route) {
    this.#behaviors = behaviors;
    this.#runtime = runtime;
    this.#route = route;
  }

  /** Sends a message through the layers. */
  send(
    { body }: Message,
    origin: Origin | undefined,
    contract: Contract,
    host: Host,
  ): Promise<Result<unknown, Fault>> {
    let step = this.#steps.get(contract);
    if (step === undefined) this.#steps.set(contract, step = this.#stepOf(contract));
    return step(new MessageContext({ contract, host }, body, origin));
  }

  #stepOf(contract: Contract): Step {
    const { kind, type } = contract;
    const send: Step = (context) => {
      const inner = (context as MessageContext).origin ?? new Origin();
      inner.id ??= context.id;
      return this.#route({ kind, type, body: context.body }, inner, contract);
    };
    const failed = (thrown: unknown) => failure(faultOf(thrown));
    return compose(send, this.#behaviors, contract, this.#runtime, failed);
  }
}
