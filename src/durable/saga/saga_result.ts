import { failure, type Fault, ok, type Result, systemFault } from "../../result.ts";
import type { Found } from "./keep.ts";

/** What an instance came to; `undefined` while it goes on. */
export function sagaResult(id: string, found: Found | undefined): Result<unknown, Fault> | undefined {
  if (found === undefined) {
    return failure(
      systemFault("CONFLICT", `The saga "${id}" is kept no longer, so nobody knows how it ended`),
    );
  }
  const { status, value, fault, reason } = found.record;
  if (status === "completed") return ok(value);
  if (status === "compensated") return failure(fault!);
  if (status !== "stuck") return undefined;
  const message = `The saga "${id}" is stuck, and needs somebody to resume or cancel it`;
  return failure(systemFault("INTERNAL", message, { saga: id, reason }));
}
