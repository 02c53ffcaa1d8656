import { CatgaError, faultOf, systemFault } from "../../result.ts";
import type { StoredEvent } from "../../ports/event_store.ts";

/** Reading changes nothing, so whoever could not read has not begun. */
export function nothingDone(thrown: unknown): never {
  const { code, message } = faultOf(thrown);
  throw code === "TRANSPORT"
    ? new CatgaError(systemFault("UNAVAILABLE", message, undefined, thrown))
    : thrown;
}

/** It has happened before: that nobody can say how is no proof that it has not. */
export function maybeDone(thrown: unknown): never {
  const { code, message } = faultOf(thrown);
  throw code === "UNAVAILABLE" || code === "OVERLOADED"
    ? new CatgaError(systemFault("TRANSPORT", message, undefined, thrown))
    : thrown;
}

/** Too many wait for the same. */
export function crowded(stream: string, waiting: number): CatgaError {
  return new CatgaError(
    systemFault("OVERLOADED", `Cannot execute on "${stream}": ${waiting} commands wait already`),
  );
}

/** Others were faster each time. */
export function outrun(stream: string, tries: number, cause: unknown): CatgaError {
  const message = `Cannot execute on "${stream}": others were faster ${tries} times; try again later`;
  return new CatgaError({ ...systemFault("CONFLICT", message, undefined, cause), retryable: true });
}

/** One message wants two things. */
export function otherCommand(stream: string, { id }: StoredEvent, cause: string | undefined): CatgaError {
  const message = `Cannot execute on "${stream}": the message "${cause}" has caused another command there; ` +
    "give each a step of its own, and a repeated one the same data";
  return new CatgaError(systemFault("CONFLICT", message, { cause, event: id }));
}

/** What had happened is not there. */
export function lost(stream: string): CatgaError {
  const message =
    `Cannot execute on "${stream}": the store knew the events, but cannot find them; it has lost events`;
  return new CatgaError(systemFault("SERIALIZATION", message, { stream }));
}

/** Nobody waits any longer. */
export function cancelled(stream: string): CatgaError {
  return new CatgaError(systemFault("CANCELLED", `Nobody waits any longer to execute on "${stream}"`));
}
