/** Every call and every start of a handler, and the rules they must keep. */

import type { Fault, Result } from "@catga/catga";
import { type Answer, answerTo, type CallName, type Name, served } from "./contracts.ts";

/** Codes that promise that no handler was started. */
const UNSTARTED: readonly string[] = ["UNAVAILABLE", "OVERLOADED", "NO_HANDLER"];
/** What may be started more than once. */
const REPEATABLE: readonly string[] = ["Store", "Find"];
/** Codes that a call of the scenario may end with. */
const EXPECTED: readonly string[] = [
  "UNAVAILABLE",
  "TRANSPORT",
  "TIMEOUT",
  "CANCELLED",
  "INTERNAL",
  "REFUSED",
  "NO_HANDLER",
];

export interface Call {
  readonly id: string;
  readonly name: string;
  readonly n: number;
  readonly caller: string;
  starts: number;
  readonly startedBy: Set<string>;
  results: number;
  /** Calls off what watches its deadline. */
  unwatch: () => void;
  result: Result<unknown, Fault> | undefined;
}

export class Ledger {
  readonly calls: Map<string, Call> = new Map();
  /** How often each event was heard by each node. */
  readonly heard: Map<string, number> = new Map();
  readonly broken: string[] = [];

  open(id: string, name: string, n: number, caller: string): Call {
    const call: Call = {
      id,
      name,
      n,
      caller,
      starts: 0,
      startedBy: new Set(),
      results: 0,
      unwatch: () => {},
      result: undefined,
    };
    this.calls.set(id, call);
    return call;
  }

  /** A handler was started. */
  start(name: string, id: string, node: string): void {
    const call = this.calls.get(id);
    if (call?.name !== name) return this.breaks(`${node} got a ${name} ${id} that nobody sent`);
    call.starts++;
    call.startedBy.add(node);
    if (call.starts > 1 && !REPEATABLE.includes(name)) {
      this.breaks(`${name} ${id} of ${call.caller} was started ${call.starts} times, now on ${node}`);
    }
    this.#checkStarts(call);
  }

  hear(id: string, node: string): void {
    const key = `${id} on ${node}`;
    const times = (this.heard.get(key) ?? 0) + 1;
    this.heard.set(key, times);
    if (times > 1) this.breaks(`the event ${key} was heard ${times} times`);
  }

  /** A call was answered. */
  answer(call: Call, name: CallName, result: Result<Answer, Fault>): void {
    this.settle(call, result);
    if (!result.ok) return;
    const { id, n, by } = result.value;
    const fits = id === call.id && n === answerTo(name, call.n) && served[by as Name].includes(name);
    if (!fits) {
      this.breaks(`${name} ${call.id} got the answer of another call: ${JSON.stringify(result.value)}`);
    }
  }

  /** A call or a stream has come to its end. */
  settle(call: Call, result: Result<unknown, Fault>): void {
    call.result = result;
    call.unwatch();
    if (++call.results > 1) this.breaks(`${call.name} ${call.id} was answered ${call.results} times`);
    this.#checkStarts(call);
    if (result.ok && call.starts === 0) this.breaks(`${call.name} ${call.id} was answered without a handler`);
    if (result.ok) return;
    const { code, data, message } = result.error;
    if (!EXPECTED.includes(code)) this.breaks(`${call.name} ${call.id} failed with ${code}: ${message}`);
    if (code === "REFUSED" && (data as { id: string }).id !== call.id) {
      this.breaks(`${call.name} ${call.id} got the refusal of another call`);
    }
  }

  /** The caller's clock says that its deadline has passed. */
  due(call: Call): void {
    if (call.results === 0) {
      this.breaks(`${call.name} ${call.id} of ${call.caller} was not answered by its deadline`);
    }
  }

  /** How the calls ended, by code. */
  outcomes(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { result } of this.calls.values()) {
      const code = result === undefined ? "(crashed)" : result.ok ? "ok" : result.error.code;
      counts[code] = (counts[code] ?? 0) + 1;
    }
    return counts;
  }

  #checkStarts(call: Call): void {
    const { result } = call;
    if (call.starts > 0 && result?.ok === false && UNSTARTED.includes(result.error.code)) {
      this.breaks(
        `${call.name} ${call.id} was started, but ended with ${result.error.code}: ${result.error.message}`,
      );
    }
  }

  /** A rule was broken. */
  breaks(rule: string): void {
    this.broken.push(rule);
  }
}
