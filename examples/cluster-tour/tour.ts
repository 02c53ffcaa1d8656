import {
  type Answerable,
  type BatchOptions,
  type Fault,
  type Message,
  type Result,
  unwrap,
} from "@catga/catga";
import type { Explanation, Node } from "@catga/catga/cluster";
import { NAMES } from "./fleet.ts";

/** One step of the tour: it tells what it does and checks what it shows. */
export interface Step {
  say(text: string): void;
  /** Who answered how many calls. */
  table(answers: readonly string[]): void;
  /** Why a call would go where it would. */
  explained(explanation: Explanation): void;
  /** What this step shows, and whether it did. */
  promise(what: string, kept: boolean): void;
}

/** Counts the steps and what they promised. */
export class Tour {
  readonly #print: (line: string) => void;
  readonly #ready: () => Promise<unknown>;
  readonly #broken: string[] = [];
  #steps = 0;

  /** @param ready settles when the next step can be taken */
  constructor(print: (line: string) => void, ready: () => Promise<unknown> = () => Promise.resolve()) {
    this.#print = print;
    this.#ready = ready;
  }

  /** Takes one step; one that throws has broken its promise. */
  async step(title: string, take: (step: Step) => Promise<void>): Promise<void> {
    const number = ++this.#steps;
    const say = (text: string): void => this.#print(`   ${text}`);
    const promise = (what: string, kept: boolean): void => {
      say(`${kept ? "✓" : "✗"} ${what}`);
      if (!kept) this.#broken.push(`${number}. ${title}: ${what}`);
    };
    try {
      await this.#ready();
      this.#print(`\n${number}. ${title}`);
      await take({
        say,
        promise,
        table: (answers) => tableOf(answers).forEach(say),
        explained: (explanation) => say(toldOf(explanation)),
      });
    } catch (thrown) {
      promise(`it did not come to an end: ${thrown instanceof Error ? thrown.message : thrown}`, false);
    }
  }

  /** Says how it went; answers the exit code. */
  end(): number {
    if (this.#broken.length === 0) {
      this.#print(`\n${this.#steps} steps, all as promised`);
      return 0;
    }
    this.#print(`\n${this.#steps} steps, not as promised:`);
    for (const line of this.#broken) this.#print(`   ${line}`);
    return 1;
  }
}

/** How many of some answers were a node's. */
export function countOf(answers: readonly string[], name: string): number {
  return answers.filter((answer) => answer === name).length;
}

/** The nodes that gave any of some answers, in order. */
export function answeredBy(answers: readonly string[]): string[] {
  return NAMES.filter((name) => answers.includes(name));
}

/** Sends many of one message, so many at once, and answers what was answered. Throws what one of them failed with. */
export async function ask<T>(
  node: Node,
  count: number,
  message: Answerable & Message<"query", string, unknown, T, Fault>,
  options: BatchOptions = {},
): Promise<T[]> {
  const results = await node.sendAll(Array.from({ length: count }, () => message), options);
  return results.map((result) => unwrap(result as Result<T, Fault>));
}

function tableOf(answers: readonly string[]): string[] {
  const cells = NAMES.map((name) => String(countOf(answers, name)).padStart(name.length));
  return [NAMES.join("  "), cells.join("  ")];
}

function toldOf({ type, key, routedBy, shard, node, candidates, leftOut }: Explanation): string {
  const what = key === undefined || key === "" ? `"${type}"` : `"${type}" with key "${key}"`;
  const who = shard === undefined ? `by the ${routedBy}'s router` : `which owns shard ${shard.index}`;
  const others = leftOut.map(({ node, why }) => `; not to ${node}: ${why}`).join("");
  return `explain: ${what} goes to ${node ?? "nobody"}, one of ${candidates.length}, ${who}${others}`;
}
