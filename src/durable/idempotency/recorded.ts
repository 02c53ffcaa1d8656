import { failure, type Fault, type Result, systemFault } from "../../result.ts";
import type { Contract } from "../../message/contract.ts";
import type { Codec } from "../../ports/codec.ts";
import type { Frame } from "../../ports/transport.ts";
import { decodeReply, encodeReply } from "../../wire/envelope.ts";

/**
 * Whether a result is the answer for all who repeat the call: a value, also `undefined`, or a failure that the
 * contract declares and that does not say it may heal. All other failures tell of the moment and not of the call:
 * nothing was started, nobody waited long enough, something was out of reach, or the handler broke, which may be mended.
 */
export function isAnswer({ errors }: Contract, result: Result<unknown, Fault>): boolean {
  return result.ok || (Object.hasOwn(errors, result.error.code) && !result.error.retryable);
}

/** Writes an answer; `SERIALIZATION` in its place where nobody could read it again. */
export function encodeAnswer(type: string, codec: Codec, result: Result<unknown, Fault>): Frame {
  try {
    const frame = codec.encode(encodeReply(0, result));
    decodeReply(codec.decode(frame));
    return frame;
  } catch (thrown) {
    return lostAnswer(type, codec, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** What is kept in the place of an answer that cannot be: the call was handled, and will not be again. */
export function lostAnswer(type: string, codec: Codec, why: string): Frame {
  const message = `"${type}" was handled, but its answer cannot be kept: ${why}`;
  return codec.encode(encodeReply(0, failure(systemFault("SERIALIZATION", message))));
}

/** Reads an answer. What cannot be read is a failure and never taken for an answer without a value. */
export function decodeAnswer(type: string, codec: Codec, frame: Frame): Result<unknown, Fault> {
  try {
    return decodeReply(codec.decode(frame)).result;
  } catch (thrown) {
    return failure(unreadable(type, thrown));
  }
}

/** The fault of a call whose answer nobody here can read. */
export function unreadable(type: string, cause?: unknown): Fault {
  const message = `"${type}" was handled before, but what the store has of its answer cannot be read`;
  return systemFault("SERIALIZATION", message, undefined, cause);
}
