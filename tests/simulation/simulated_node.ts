/** One life of a node of the scenario: its handlers, and the calls it makes. */

import { type Context, createMediator, fail, handle, type Module, on } from "@catga/catga";
import type { Backend, Runtime } from "@catga/catga/ports";
import { joinCluster, type Node } from "@catga/catga/cluster";
import type { SeededRandom } from "@catga/catga/testing";
import {
  type Answer,
  answerTo,
  type Body,
  type CallName,
  calls,
  counting,
  Happened,
  type Name,
  served,
} from "./contracts.ts";
import type { Call, Ledger } from "./ledger.ts";
import { SimulatedStreams } from "./simulated_streams.ts";

/** How long a call may take that has no limit of its own, in ms. */
export const CALL_TIMEOUT = 4000;
/** How long a node pauses at most before it makes its next calls, in ms. */
export const WORK_PAUSE = 700;
/** How much later than its deadline a call may be answered, by its caller's clock, in ms. */
const SLACK = 50;

export class SimulatedNode {
  readonly name: Name;
  readonly runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;
  readonly #life: string;
  readonly #streams: SimulatedStreams;
  #count = 0;
  node: Node | undefined;

  constructor(
    name: Name,
    life: number,
    runtime: Runtime,
    backend: Backend,
    ledger: Ledger,
    random: SeededRandom,
  ) {
    this.name = name;
    this.runtime = runtime;
    this.#ledger = ledger;
    this.#random = random;
    this.#life = `${name}${life}`;
    this.#streams = new SimulatedStreams(name, runtime, ledger, random);
    const app = createMediator({ handlers: this.#handlers(), runtime });
    joinCluster(app, { node: name, endpoint: `sim:${name}`, backend, callTimeout: CALL_TIMEOUT }).then(
      (node) => this.node = node,
      (thrown: unknown) => ledger.breaks(`${name} could not join: ${String(thrown)}`),
    );
  }

  /** Makes calls at random times, as long as there is work. */
  work(more: () => boolean): void {
    this.runtime.clock.timer(this.#random.between(0, WORK_PAUSE), () => {
      if (!more()) return;
      if (this.node !== undefined) {
        for (let left = this.#random.chance(0.2) ? 5 : 1; left > 0; left--) this.#act();
      }
      this.work(more);
    });
  }

  /** Leaves in good order; it may take so many ms, by this node's clock. */
  leave(ms: number, left: () => void): void {
    const { clock } = this.runtime;
    const stop = clock.timer(ms, () => this.#ledger.breaks(`${this.name} cannot leave`));
    void this.node!.leave().then(() => {
      stop();
      left();
    });
  }

  /** One call of each kind; all must be answered well. */
  probe(): Call[] {
    return (Object.keys(calls) as CallName[]).map((name) =>
      this.#send(name, 1, "answer", undefined, undefined)
    );
  }

  /** Whether this life made a call. */
  made(id: string): boolean {
    return id.startsWith(`${this.#life}-`);
  }

  #act(): void {
    const random = this.#random;
    if (random.chance(0.1)) {
      void this.node!.publish(Happened({ id: this.#nextId() })).then((result) => {
        if (!result.ok && this.node!.status !== "left") {
          this.#ledger.breaks(`an event of ${this.name} failed: ${result.error.code}`);
        }
      });
      return;
    }
    if (random.chance(0.1)) return this.#streams.ask(this.node!, this.#nextId());
    const name = random.pick(Object.keys(calls)) as CallName;
    const takes = random.chance(0.3)
      ? 0
      : random.chance(0.1)
      ? random.between(0, 6000)
      : random.between(0, 100);
    const end = random.chance(0.8) ? "answer" : random.pick(["fail", "throw", "ask"] as const);
    const timeout = random.chance(0.2) ? random.between(1, 3000) : undefined;
    const cancel = random.chance(0.1) ? random.between(0, 1000) : undefined;
    this.#send(name, takes, end, timeout, cancel);
  }

  #send(
    name: CallName,
    takes: number,
    end: Body["end"],
    timeout: number | undefined,
    cancel: number | undefined,
  ): Call {
    const id = this.#nextId();
    const n = this.#count;
    const call = this.#ledger.open(id, name, n, this.name);
    const { clock } = this.runtime;
    const controller = cancel === undefined ? undefined : new AbortController();
    const stop = controller === undefined ? undefined : clock.timer(cancel!, () => controller.abort());
    const contract = calls[name];
    const sending = this.node!.send(contract({ id, n, takes, end }), { timeout, signal: controller?.signal });
    const own = Math.min(timeout ?? Infinity, cancel ?? Infinity, contract.timeout ?? Infinity);
    this.#watch(call, Math.min(own, CALL_TIMEOUT), own === Infinity ? takes : 0);
    sending.then(
      (result) => {
        stop?.();
        this.#ledger.answer(call, name, result);
      },
      (thrown: unknown) => this.#ledger.breaks(`send rejected: ${String(thrown)}`),
    );
    return call;
  }

  /** Looks after some ms by this node's clock whether a call was answered; a node that stood still gets more time. */
  #watch(call: Call, ms: number, more: number): void {
    const { clock } = this.runtime;
    const due = clock.mono() + ms + SLACK;
    call.unwatch = clock.timer(ms + SLACK, () => {
      if (clock.mono() > due + 5) this.#watch(call, 0, more);
      // What runs on the caller's own node, and has no limit of its own, takes as long as it takes.
      else if (more > 0 && call.startedBy.has(this.name)) this.#watch(call, more, 0);
      else this.#ledger.due(call);
    });
  }

  #handlers(): Module {
    const handlers = served[this.name].map((name) =>
      handle(calls[name], (body, context) => this.#handle(name, body, context))
    );
    const hearing = on(Happened, ({ id }) => this.#ledger.hear(id, this.name));
    return [...handlers, hearing, ...(counting.includes(this.name) ? [this.#streams.handler()] : [])];
  }

  #handle(
    name: CallName,
    body: Body,
    context: Context,
  ): Answer | Promise<Answer> | ReturnType<typeof refuse> {
    this.#ledger.start(name, body.id, this.name);
    const answer = { id: body.id, n: answerTo(name, body.n), by: this.name };
    if (body.end === "ask") return this.#ask(answer, context);
    if (body.takes === 0 && body.end === "answer") return answer;
    if (body.takes === 0 && body.end === "fail") return refuse(body.id);
    return new Promise((resolve, reject) => {
      const { signal } = context;
      const stop = this.runtime.clock.timer(body.takes, () => {
        if (body.end === "throw") reject(new Error("on purpose"));
        else resolve(body.end === "fail" ? refuse(body.id) as never : answer);
      });
      signal.addEventListener("abort", () => (stop(), reject(signal.reason)), { once: true });
    });
  }

  /** Answers after a call of its own, which bears the deadline and the cancellation on. */
  async #ask(answer: Answer, context: Context): Promise<Answer> {
    const id = this.#nextId();
    const call = this.#ledger.open(id, "Find", 1, this.name);
    const result = await context.send(calls.Find({ id, n: 1, takes: 1, end: "answer" }));
    this.#ledger.answer(call, "Find", result);
    return answer;
  }

  #nextId(): string {
    return `${this.#life}-${++this.#count}`;
  }
}

function refuse(id: string): ReturnType<typeof fail<"REFUSED", { id: string }>> {
  return fail("REFUSED", { id });
}
