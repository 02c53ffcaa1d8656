import type { Delivery } from "../../src/ports/queue.ts";
import type { FetchReply } from "../../src/ports/runtime.ts";
import { type Fault, systemFault } from "../../src/result.ts";

/** An item that an endpoint did not take. */
export interface RefusedItem extends Pick<Delivery, "id" | "key" | "payload" | "pushed"> {
  /** Its topic. */
  readonly topic: string;
  /** The group that it was for. */
  readonly group: string;
  /** How often it was refused. */
  readonly attempts: number;
  /** How often its queue handed it out. */
  readonly handedOut: number;
  /** Why; its `data` has the `status`. */
  readonly fault: Fault;
}

/** Keeps what an endpoint does not take. */
export interface RefusedItems {
  /** Keeps an item; one that comes again is kept once. */
  put(item: RefusedItem): Promise<void>;
}

/** What an answer says of an item: it was taken, is to come later, was refused, or will never be taken. */
export type PushOutcome = "taken" | "later" | "refused" | "never";

/** What counts as away or busy beside 5xx and no answer, and what is about the item. */
const LATER: readonly number[] = [408, 425, 429];
const NEVER: readonly number[] = [413, 422];
/** How many refused items are remembered, and the longest rest that an endpoint may ask for, in ms. */
const LIMIT = 10_000;
const MOST = 7 * 86_400_000;

/** What to do about refusals that are not about the item. */
const ADVICE: Readonly<Record<number, string>> = {
  401: "Give the relay a secret that the endpoint has too, and check that the clocks of both are right",
  403: "Let the endpoint take requests of the relay, and check what stands before it",
  404: "Check its address, and that its handlers are those of the group",
  405: "Check its address: POST is not answered there",
  410: "Give the relay another endpoint, or end it",
};

/** What an answer says, 0 standing for none. */
export function outcomeOf(status: number): PushOutcome {
  if (status >= 200 && status < 300) return "taken";
  if (status < 300 || status >= 500 || LATER.includes(status)) return "later";
  return NEVER.includes(status) ? "never" : "refused";
}

/** Counts how often an endpoint refused each item. */
export class PushRefusals {
  readonly #counts: Map<string, number> = new Map();
  /** Statuses since something was taken. */
  readonly #statuses: Set<number> = new Set();

  /** How often the item was refused with this time, why, and whether that is something new. */
  count(
    item: Delivery,
    status: number,
  ): { readonly attempts: number; readonly fault: Fault; readonly isNew: boolean } {
    const name = nameOf(item);
    const attempts = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.delete(name);
    this.#counts.set(name, attempts);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > LIMIT) this.#counts.delete(oldest!);
    const isNew = !this.#statuses.has(status);
    this.#statuses.add(status);
    return { attempts, fault: faultOf(status), isNew };
  }

  /** The item was taken, so what comes next is new. */
  taken(item: Delivery): void {
    this.forget(item);
    this.#statuses.clear();
  }

  /** The item is done with. */
  forget(item: Delivery): void {
    this.#counts.delete(nameOf(item));
  }
}

/** What a server says in seconds, in ms; dates are not read. */
export function retryAfter(reply: FetchReply | undefined): number | undefined {
  const header = reply?.headers.get("retry-after") ?? "";
  return /^\d{1,9}$/.test(header) ? Math.min(Number(header) * 1000, MOST) : undefined;
}

function nameOf({ id, pushed }: Delivery): string {
  return `${pushed} ${id}`;
}

function faultOf(status: number): Fault {
  const redirect = "Give the address that it leads to";
  const advice = ADVICE[status] ?? (status < 400 ? redirect : undefined);
  const message = `the endpoint answered ${status}${advice === undefined ? "" : `. ${advice}`}`;
  const code = [400, 413, 415, 422].includes(status) ? "VALIDATION" : "UNAVAILABLE";
  return systemFault(code, message, { status });
}
