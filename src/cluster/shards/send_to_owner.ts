import { failure, type Fault, type Result, systemFault } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { cancelledFault } from "../../mediator/supervise.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { ShardGroup } from "./shard_group.ts";

/** How long a call waits before it asks again who owns its shard, in ms: up to twice as long each time. */
const DELAY = 20;
const LONGEST = 250;
/** How many calls may wait for the shards of one group. */
const WAITING = 10_000;

/** What came of asking the owner of a shard. */
export interface OwnerAnswer {
  readonly result: Result<unknown, Fault>;
  /** Whether a handler, or what is around it, answered. */
  readonly answered: boolean;
}

/** A call on its way to the owner of its shard. */
export interface OwnerCall {
  readonly type: string;
  readonly group: ShardGroup;
  readonly index: number;
  /** By the runtime's `clock.mono()`, in ms. */
  readonly deadline: number;
  readonly idempotent: boolean;
  readonly signals: readonly AbortSignal[];
  /** Why nothing more can be asked from here, if that is so. */
  gone(): Fault | undefined;
  /** Asks a node; `undefined` when that can take no call just now. */
  ask(owner: string): Promise<OwnerAnswer> | undefined;
}

/** What counts the calls that wait. */
export interface Waits {
  readonly runtime: Runtime;
  begins(): void;
  finished(): void;
}

/**
 * Asks the owner of a call's shard. While there is none, or the one that was asked provably began nothing, it waits
 * for the next, until the call's deadline.
 */
export async function sendToOwner(call: OwnerCall, waits: Waits): Promise<Result<unknown, Fault>> {
  const { clock, random } = waits.runtime;
  const { type, group, index, deadline, idempotent, signals } = call;
  let last = "it has no owner";
  for (let tries = 1;; tries++) {
    const owner = group.owners[index];
    const answer = owner && await call.ask(owner.id);
    if (answer !== undefined) {
      const { result, answered } = answer;
      if (result.ok || answered || !mayAskAgain(result.error, idempotent)) return result;
      last = result.error.message;
    } else if (owner !== undefined) last = `"${owner.id}" owns it and cannot be given calls`;
    const gone = call.gone();
    if (gone !== undefined) return failure(gone);
    if (signals.some((signal) => signal.aborted)) return failure(cancelledFault(type));
    const wait = Math.min(backoff(tries, DELAY, LONGEST, random.u32()), deadline - clock.mono());
    if (wait <= 0) break;
    const now = group.owners[index];
    if (now?.token !== owner?.token || now?.id !== owner?.id) continue;
    if (group.waiting >= WAITING) {
      const message = `Cannot send "${type}": ${WAITING} calls wait for shards of "${group.name}"`;
      return failure(systemFault("OVERLOADED", message));
    }
    waits.begins();
    await untilOwned(call, wait, clock);
    waits.finished();
  }
  const message = `Cannot send "${type}" to shard ${index} of "${group.name}" in time: ${last}`;
  return failure(systemFault("UNAVAILABLE", message));
}

function mayAskAgain({ code }: Fault, idempotent: boolean): boolean {
  return code === "UNAVAILABLE" || code === "NO_HANDLER" || (code === "TRANSPORT" && idempotent);
}

/** Waits until a shard has another owner, but no longer than so many ms or until the call is given up. */
async function untilOwned(
  { group, index, signals }: OwnerCall,
  ms: number,
  clock: Runtime["clock"],
): Promise<void> {
  const over = new AbortController();
  const wake = (): void => over.abort();
  const stop = group.onOwned(index, wake);
  for (const signal of signals) signal.addEventListener("abort", wake, { once: true });
  await sleep(clock, ms, over.signal);
  for (const signal of signals) signal.removeEventListener("abort", wake);
  stop();
}
