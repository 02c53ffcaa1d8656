import { CatgaError, systemFault } from "../result.ts";
import type { ExpectedVersion, NewEvent, VersionConflict } from "./event_store.ts";

/** How many characters the name of a stream may have. */
const STREAM = 256;
/** How many characters the id of an event may have. */
const ID = 128;
/** How many characters the type of an event may have. */
const TYPE = 256;
/** How many characters the data of an event may have. */
const DATA = 262_144;
/** How many characters what accompanies an event may have. */
const META = 16_384;
/** How many events an append may have, and how many characters together. */
const EVENTS = 1000;
const TOGETHER = 4_194_304;

/** For adapter authors: what an append rejects with whose stream is not as expected, or has one of its ids. */
export function versionConflict(
  what: string,
  expected: ExpectedVersion,
  found: number,
): CatgaError<"CONFLICT", VersionConflict> {
  const data: VersionConflict = { expected, found };
  const message = `Cannot ${what}: expected ${shown(expected)}, found ${
    isExpected(expected, found) ? "one of its ids" : shown(found)
  }`;
  return new CatgaError({ code: "CONFLICT", message, data, retryable: false });
}

/** For adapter authors: whether a stream at a version, 0 where there is none, is as an append expects it. */
export function isExpected(expected: ExpectedVersion, version: number): boolean {
  switch (expected) {
    case "any":
      return true;
    case "absent":
      return version === 0;
    case "exists":
      return version > 0;
    default:
      return version === expected;
  }
}

/** For adapter authors: refuses the name of a stream that no store takes. Throws `VALIDATION`. */
export function checkStream(stream: string): void {
  checkText(stream, 1, STREAM, () => "Cannot use a stream: its name");
}

/** For adapter authors: refuses an append that no store takes. Throws `VALIDATION`. */
export function checkAppend(stream: string, events: readonly NewEvent[], expected: ExpectedVersion): void {
  checkStream(stream);
  const to = `Cannot append to "${stream}"`;
  if (typeof expected === "number" && !(Number.isSafeInteger(expected) && expected >= 0)) {
    refuse(`${to}: it expects version ${expected}, which must be a whole number from 0 upwards`);
  }
  if (events.length > EVENTS) refuse(`${to}: it has ${events.length} events, more than ${EVENTS}`);
  let together = 0;
  for (const event of events) together += checkEvent(event, to);
  if (together > TOGETHER) refuse(`${to}: its events have ${together} characters, more than ${TOGETHER}`);
  if (events.length > 1 && new Set(events.map(({ id }) => id)).size < events.length) {
    refuse(`${to}: two of its events have the same id`);
  }
}

/** For adapter authors: refuses an event id to look for that no store takes. Throws `VALIDATION`. */
export function checkFind(stream: string, id: string): void {
  checkStream(stream);
  checkText(id, 1, ID, () => `Cannot look into "${stream}": the id of the event`);
}

/** For adapter authors: refuses a read of a stream that makes no sense. Throws `VALIDATION`. */
export function checkRead(stream: string, from: number | undefined, limit: number): void {
  checkStream(stream);
  if (from !== undefined) checkCount(`Cannot read "${stream}": the first version`, from, 1);
  checkCount(`Cannot read "${stream}": the limit`, limit, 1);
}

/** For adapter authors: refuses a read of all streams that makes no sense. Throws `VALIDATION`. */
export function checkReadAll(after: number, limit: number): void {
  checkCount("Cannot read all events: the position", after, 0);
  checkCount("Cannot read all events: the limit", limit, 1);
}

/** For adapter authors: refuses to wait for what makes no sense. Throws `VALIDATION`. */
export function checkChanged(after: number, wait: number): void {
  checkCount("Cannot wait for events: the position", after, 0);
  if (!(wait >= 0 && wait < Infinity)) {
    refuse(`Cannot wait for events: the longest wait is ${wait}, but must be 0 ms or more`);
  }
}

function checkEvent({ id, type, data, meta }: NewEvent, to: string): number {
  checkText(id, 1, ID, () => `${to}: the id of an event`);
  checkText(type, 1, TYPE, () => `${to}: the type of the event "${id}"`);
  checkText(data, 0, DATA, () => `${to}: the data of the event "${id}"`);
  if (meta !== undefined) checkText(meta, 0, META, () => `${to}: the meta of the event "${id}"`);
  return id.length + type.length + data.length + (meta?.length ?? 0);
}

function checkText(text: string, least: number, most: number, what: () => string): void {
  if (text.length < least || text.length > most) {
    refuse(`${what()} has ${text.length} characters, but must have ${least} to ${most}`);
  }
  if (!text.isWellFormed()) refuse(`${what()} is not well-formed Unicode`);
}

function checkCount(what: string, count: number, least: number): void {
  if (Number.isSafeInteger(count) && count >= least) return;
  refuse(`${what} is ${count}, but must be a whole number from ${least} upwards`);
}

function refuse(message: string): never {
  throw new CatgaError(systemFault("VALIDATION", message));
}

function shown(version: ExpectedVersion): string {
  switch (version) {
    case "any":
      return "any stream";
    case "exists":
      return "a stream that is there";
    case "absent":
    case 0:
      return "no stream";
    default:
      return `version ${version}`;
  }
}
