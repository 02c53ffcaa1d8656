import type { Runtime } from "../../src/ports/runtime.ts";
import { CatgaError } from "../../src/result.ts";
import { bounded } from "./bounded.ts";
import type { Found } from "./found.ts";
import type { Look } from "./keep_looking.ts";
import { GONE, type SliceApi } from "./slice_api.ts";
import { isObject, type Reading, Slices, versionOf } from "./slices.ts";
import { trouble } from "./trouble.ts";

const LIST_LIMIT = 30_000;
const WATCH_SECONDS = 290;
/** How much longer than it was asked to a server may keep a watch open, in ms. */
const GRACE = 30_000;
/** A watch that ends sooner and brings nothing has failed; after one that brought something there is a rest. In ms. */
const SHORT = 1000;
/** One that has stood so long, in ms, did its work, also if its connection drops then. */
const STOOD = 10_000;
/** After so many refused watches in a row a list is asked for: a server may have been set back to before the version. */
const REFUSALS = 3;
/** Pages of 25 slices. */
const PAGES = 1000;

/** Lists slices once, then follows what happens to them; lists again where it has lost its place. */
export function watchSlices(api: SliceApi, { clock, random }: Runtime, reading: Reading): Look {
  let slices = new Slices(reading);
  let version: string | undefined;
  /** Whether the last watch lost its place before it brought anything. */
  let lost = false;
  /** Whether the last watch brought anything. */
  let brought = false;
  let refusals = 0;

  async function list(found: Found, signal: AbortSignal): Promise<void> {
    const listed = new Slices(reading);
    let next: string | undefined;
    for (let pages = 0; pages < PAGES; pages++) {
      const page = await api.list(next, signal);
      if (page === GONE) throw trouble("CONFLICT", "Cannot list EndpointSlices: the list went old meanwhile");
      for (const item of page.items) listed.put(item);
      if (signal.aborted) return;
      next = page.next;
      if (next !== undefined) continue;
      slices = listed;
      version = page.version;
      refusals = 0;
      found.set(slices.endpoints());
      return;
    }
    throw trouble("OVERLOADED", `Cannot list EndpointSlices: there are more than ${PAGES} pages`);
  }

  /** Takes a change in. What is of no known type is passed over; a version goes on with all of them. */
  function take(change: unknown, found: Found): void {
    const { type, object } = change as { readonly type?: unknown; readonly object?: unknown };
    if (type === "ERROR") {
      const code = isObject(object) && typeof object["code"] === "number" ? object["code"] : 500;
      if (code === 410) throw GONE;
      throw trouble("UNAVAILABLE", `Cannot watch EndpointSlices: the API server ended it with ${code}`);
    }
    if (type === "DELETED") slices.delete(object);
    else if (type === "ADDED" || type === "MODIFIED") slices.put(object);
    version = versionOf(object) ?? version;
    if (type === "BOOKMARK") found.well();
    else found.set(slices.endpoints());
    lost = false;
  }

  async function watch(from: string, found: Found, signal: AbortSignal): Promise<void> {
    const changes = await api.watch(from, WATCH_SECONDS, signal);
    if (changes === GONE) throw GONE;
    const began = clock.mono();
    for await (const change of changes) {
      if (signal.aborted) return;
      take(change, found);
      brought = true;
      refusals = 0;
    }
    if (!brought && clock.mono() - began < SHORT) {
      throw trouble("UNAVAILABLE", "Cannot watch EndpointSlices: the watch ended as soon as it began");
    }
    if (slices.full) version = undefined;
  }

  /** A server that ends each watch after a moment is not asked without end, nor by all nodes at once. */
  function restAfter(began: number): number {
    return clock.mono() - began < SHORT ? rest() : 0;
  }

  function rest(): number {
    return SHORT * (0.1 + 0.9 * random.u32() / 2 ** 32);
  }

  return async (found, signal) => {
    if (version === undefined) {
      await bounded(clock, LIST_LIMIT, signal, "listing EndpointSlices", (signal) => list(found, signal));
    }
    const from = version;
    if (from === undefined) return 0;
    const began = clock.mono();
    brought = false;
    try {
      const longest = WATCH_SECONDS * 1000 + GRACE;
      await bounded(
        clock,
        longest,
        signal,
        "watching EndpointSlices",
        (signal) => watch(from, found, signal),
      );
      return restAfter(began);
    } catch (error) {
      if (error === GONE) {
        version = undefined;
        if (!lost) {
          lost = true;
          return restAfter(began);
        }
        throw trouble(
          "UNAVAILABLE",
          "Cannot watch EndpointSlices: the API server forgets what it has listed",
        );
      }
      if (!CatgaError.is(error) && (brought || clock.mono() - began >= STOOD)) return rest();
      // What a watch brought after an unreadable line is not known.
      if (isUnreadable(error) || isRefused(error) && ++refusals >= REFUSALS) version = undefined;
      throw error;
    }
  };
}

/** Whether the server refused or ended the watch for another reason than that it is busy. */
function isRefused(error: unknown): boolean {
  const { code, data } = error as {
    readonly code?: unknown;
    readonly data?: { readonly retryAfter?: unknown };
  };
  return code === "UNAVAILABLE" && !(Number(data?.retryAfter) > 0);
}

function isUnreadable(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === "SERIALIZATION" || code === "VALIDATION";
}
