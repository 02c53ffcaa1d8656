import { type Fault, faultOf, type Result } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { Dispatcher } from "../../mediator/types.ts";
import type { Answerable } from "../../message/message.ts";
import type { Runtime } from "../../ports/runtime.ts";

/** The longest wait before the second try, in ms; it doubles up to the longest of all. */
const DELAY = 100;
const LONGEST = 30_000;
/** How often what the handler itself fails at is tried. */
const FAILURES = 3;

/** One message that is to be answered. */
export interface Sending {
  readonly message: Answerable;
  /** Its step key: whoever handles it by it does so once. */
  readonly key: string;
  readonly timeout: number;
  readonly attempts: number;
  /** Somebody may have sent it before. */
  readonly sent: boolean;
  /** Aborts when nobody is to send any more. */
  readonly stop: AbortSignal;
  /** Aborts then, or when it need not happen any more if it has not. */
  readonly hurry: AbortSignal;
}

/** What came of it, and whether it may have happened although it failed. */
export interface Sent {
  readonly result: Result<unknown, Fault>;
  readonly doubt: boolean;
}

/** After these nobody knows whether a handler ran. */
const UNKNOWN: readonly string[] = ["TIMEOUT", "TRANSPORT", "CANCELLED"];
const AGAIN: readonly string[] = [...UNKNOWN, "UNAVAILABLE", "OVERLOADED", "NO_HANDLER", "INTERNAL"];

/**
 * Sends a message again and again under one key until somebody answers it or it was tried often enough; `undefined`
 * when it was stopped before that.
 */
export async function sendStep(
  dispatcher: Dispatcher,
  runtime: Runtime,
  sending: Sending,
): Promise<Sent | undefined> {
  const { message, key, timeout, attempts } = sending;
  let doubt = sending.sent;
  let failures = 0;
  let broken = false;
  for (let attempt = 1;; attempt++) {
    if (sending.stop.aborted) return undefined;
    const result = await ask(dispatcher, message, key, timeout);
    if (result.ok) return { result, doubt: false };
    const { code, retryable } = result.error;
    if (!AGAIN.includes(code)) return { result, doubt: code === "SERIALIZATION" };
    doubt ||= UNKNOWN.includes(code);
    if (code === "INTERNAL") broken = true;
    if (code === "INTERNAL" && !retryable) failures++;
    const wait = backoff(attempt, DELAY, LONGEST, runtime.random.u32());
    const isLast = attempt >= attempts || failures >= FAILURES;
    if (!isLast) await sleep(runtime.clock, wait, doubt ? sending.stop : sending.hurry);
    if (isLast || (sending.hurry.aborted && !doubt)) return { result, doubt: doubt || broken };
  }
}

async function ask(
  dispatcher: Dispatcher,
  message: Answerable,
  key: string,
  timeout: number,
): Promise<Result<unknown, Fault>> {
  try {
    return await dispatcher.send(message, { headers: { "idempotency-key": key }, timeout });
  } catch (thrown) {
    return { ok: false, error: faultOf(thrown) };
  }
}
