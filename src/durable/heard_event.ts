import { failure, type Fault, type Result } from "../result.ts";
import { within } from "../internal/within.ts";
import type { Contract } from "../message/contract.ts";
import type { Host } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { Delivery } from "../ports/queue.ts";
import type { ConsumerHost, DoneMarks } from "./consumer_types.ts";
import { isParcel, originOfParcel, parcelOf } from "./parcels.ts";

/** One handler of a reliable event, and what it runs on. */
export interface HeardEvent {
  readonly engine: Engine;
  readonly contract: Contract;
  /** Which of those who hear the event it is. */
  readonly at: number;
  readonly group: string;
  /** What it sends through. */
  readonly host: Host;
  /** How long handling it once may take, in ms, where its contract does not say. */
  readonly timeout: number;
  /** How long a delivery is in hands before another node may get it, in ms. */
  readonly lease: number;
  /** What knows for so many ms what was done. */
  marks(retention: number): DoneMarks;
}

/** How the deliveries of a handler are tried, known again and handled. */
export type Hearing = Pick<ConsumerHost, "attempts" | "redeliver" | "marks" | "markOf" | "handle">;

/** How often a delivery is tried, and after how long, in ms, it is handed out again, where its contract does not say. */
export const tries: Pick<ConsumerHost, "attempts" | "redeliver"> = { attempts: 3, redeliver: [5000, 60_000] };
const DAY = 86_400_000;
/** How many leases a delivery that was done is known for at least: it may be handed out again once one is over. */
const LEASES = 10;

/** What a consumer needs of a handler. */
export function hearing(heard: HeardEvent): Hearing {
  const { contract: { type, delivery = {} }, lease } = heard;
  const { qos = 1, attempts = tries.attempts, redeliver = tries.redeliver, window = DAY } = delivery;
  return {
    attempts,
    redeliver,
    marks: qos === 2 ? heard.marks(Math.max(window, LEASES * lease)) : undefined,
    markOf: (delivery) => {
      const parcel = parcelOf(delivery, type);
      return isParcel(parcel) ? parcel.id : delivery.id;
    },
    handle: (delivery, signal) => handle(heard, delivery, signal),
  };
}

/** Tries a delivery once, and waits for a handler that goes on after its time, so that none runs beside the next. */
async function handle(
  { engine, contract, at, group, host, timeout, lease }: HeardEvent,
  delivery: Delivery,
  signal: AbortSignal,
): Promise<Result<void, Fault>> {
  const { kind, type } = contract;
  const { clock } = engine.runtime;
  const parcel = parcelOf(delivery, type);
  if (!isParcel(parcel)) return failure(parcel);
  const origin = originOfParcel(parcel, host, signal, clock.mono() + (contract.timeout ?? timeout));
  origin.delivery = { group, attempt: delivery.attempt };
  const result = await engine.tellOne({ kind, type, body: parcel.body }, at, origin);
  const still = result.ok ? undefined : origin.context?.late?.handling;
  if (still !== undefined) await within(clock, still.then(nothing, nothing), lease);
  // It was read, so it is a call of its handler that could not be, which may heal.
  return result.ok || result.error.code !== "SERIALIZATION"
    ? result
    : failure({ ...result.error, code: "INTERNAL" });
}

function nothing(): void {}
