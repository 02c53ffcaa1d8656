import { type Fault, systemFault } from "../result.ts";
import { type Host, Origin } from "../mediator/context.ts";
import type { Delivery } from "../ports/queue.ts";
import { json } from "../wire/json.ts";
import { decodeParcel, type Parcel } from "../wire/parcel.ts";

/** The message in a delivery, or why it cannot be read. */
export function parcelOf(delivery: Delivery, type: string): Parcel | Fault {
  try {
    const parcel = decodeParcel(json, delivery.payload);
    if (parcel.type === type) return parcel;
    return systemFault(
      "SERIALIZATION",
      `Cannot read "${delivery.id}": it is "${parcel.type}", not "${type}"`,
    );
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return systemFault("SERIALIZATION", `Cannot read "${delivery.id}": ${why}`);
  }
}

/** Whether a delivery could be read. */
export function isParcel(read: Parcel | Fault): read is Parcel {
  return "type" in read;
}

/** Where a message from a queue comes from, for its context. */
export function originOfParcel(parcel: Parcel, host: Host, signal: AbortSignal, deadline: number): Origin {
  const origin = new Origin();
  origin.host = host;
  origin.id = parcel.id;
  origin.correlationId = parcel.correlationId;
  origin.causationId = parcel.causationId;
  origin.headers = parcel.headers;
  origin.signal = signal;
  origin.bounded = true;
  origin.watched = true;
  origin.deadline = deadline;
  return origin;
}
