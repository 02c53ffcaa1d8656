import { CatgaError, systemFault } from "../result.ts";
import type { PullOptions, QueueItem } from "./queue.ts";
import type { Frame } from "./transport.ts";

/** How many characters the names of topics and groups, of items and keys may have. */
const NAME = 256;
const ID = 128;
const KEY = 512;
/** How many characters or bytes a payload may have. */
const PAYLOAD = 262_144;
/** How many items a push may have. */
const ITEMS = 1000;

/** For adapter authors: what an operation on a group that is not there rejects with. */
export function noGroup(topic: string, group: string): CatgaError {
  const message =
    `Cannot find the group "${group}" of "${topic}": subscribe it first, or again if it was idle`;
  return new CatgaError(systemFault("NO_HANDLER", message));
}

/** For adapter authors: what `ack`, `retry` and `extend` reject with when the delivery is in nobody's or other hands. */
export function leaseOver(what: string, id: string): CatgaError {
  const message = `Cannot ${what} "${id}": its lease is over, and another may have it`;
  return new CatgaError(systemFault("CONFLICT", message));
}

/** For adapter authors: what an operation rejects with once its signal has aborted. */
export function queueCancelled(what: string): CatgaError {
  return new CatgaError(systemFault("CANCELLED", `Nobody waits any longer to ${what}`));
}

/** For adapter authors: what is rejected for want of room. */
export function queueFull(what: string, why: string): CatgaError {
  return new CatgaError(systemFault("OVERLOADED", `Cannot ${what}: ${why}`));
}

/** For adapter authors: refuses the name of a topic that no queue takes. Throws `VALIDATION`. */
export function checkTopic(topic: string): void {
  checkText("the topic", topic, 1, NAME);
}

/** For adapter authors: refuses the names of a group and its topic that no queue takes. Throws `VALIDATION`. */
export function checkGroup(topic: string, group: string): void {
  checkTopic(topic);
  checkText("the group", group, 1, NAME);
}

/** For adapter authors: refuses a push that no queue takes. Throws `VALIDATION`. */
export function checkPush(topic: string, items: readonly QueueItem[]): void {
  checkTopic(topic);
  if (items.length > ITEMS) {
    refuse(`Cannot push ${items.length} items to "${topic}": a push has at most ${ITEMS}`);
  }
  for (const { id, key, payload, delay } of items) {
    checkText("the id", id, 1, ID);
    if (key !== undefined) checkText("the key", key, 0, KEY);
    checkPayload(id, payload);
    if (delay !== undefined) checkDelay(`push "${id}"`, "delay", delay);
  }
}

/** For adapter authors: refuses an `idle` that no queue takes. Throws `VALIDATION`. */
export function checkIdle(group: string, idle: number | undefined): void {
  if (idle !== undefined) checkLease(`subscribe "${group}"`, "idle", idle);
}

/** For adapter authors: refuses a pull that no queue takes. Throws `VALIDATION`. */
export function checkPull(topic: string, group: string, { max, lease, wait }: PullOptions): void {
  checkGroup(topic, group);
  const what = `pull "${group}" of "${topic}"`;
  if (!(Number.isSafeInteger(max) && max > 0)) {
    refuse(`Cannot ${what}: max is ${max}, but must be a whole number from 1 upwards`);
  }
  checkLease(what, "lease", lease);
  if (wait !== undefined) checkDelay(what, "wait", wait);
}

/** For adapter authors: refuses a time that must be 0 ms or more. Throws `VALIDATION`. */
export function checkDelay(what: string, name: string, ms: number): void {
  if (!(ms >= 0 && ms < Infinity)) refuse(`Cannot ${what}: its ${name} is ${ms}, but must be 0 ms or more`);
}

/** For adapter authors: refuses a time that must be more than 0 ms. Throws `VALIDATION`. */
export function checkLease(what: string, name: string, ms: number): void {
  if (!(ms > 0 && ms < Infinity)) {
    refuse(`Cannot ${what}: its ${name} is ${ms}, but must be more than 0 ms`);
  }
}

function checkPayload(id: string, payload: Frame): void {
  if (payload.length > PAYLOAD) {
    const unit = typeof payload === "string" ? "characters" : "bytes";
    refuse(`Cannot push "${id}": its payload has ${payload.length} ${unit}, more than ${PAYLOAD}`);
  }
  if (typeof payload === "string" && !payload.isWellFormed()) {
    refuse(`Cannot push "${id}": its payload is not well-formed Unicode`);
  }
}

function checkText(what: string, text: string, least: number, most: number): void {
  if (text.length < least || text.length > most) {
    refuse(`Cannot use ${what}: it has ${text.length} characters, but must have ${least} to ${most}`);
  }
  if (!text.isWellFormed()) {
    refuse(`Cannot use ${what} ${JSON.stringify(text)}: it is not well-formed Unicode`);
  }
}

function refuse(message: string): never {
  throw new CatgaError(systemFault("VALIDATION", message));
}
