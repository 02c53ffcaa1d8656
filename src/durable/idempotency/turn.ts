import { CatgaError, type Fault, faultOf, systemFault } from "../../result.ts";
import type { Ending } from "../../internal/ending.ts";
import type { Entry } from "../../ports/store.ts";
import type { Frame } from "../../ports/transport.ts";
import { askStore } from "../ask_store.ts";
import { decodeRecord } from "./answer_record.ts";
import type { CallKey } from "./call_key.ts";
import { Claim, type ClaimHost } from "./claim.ts";
import type { EntryWatch } from "../entry_watch.ts";

/** What came of a turn, for all who wait for it. */
export type Outcome =
  /** It was answered before or just now. */
  | { readonly type: "answered"; readonly frame: Frame }
  /** It was not, and why; another time it may be. */
  | { readonly type: "failed"; readonly fault: Fault }
  /** Whoever had the turn has gone: it is the next one's. */
  | { readonly type: "gone" };

/** What a turn does with a call. */
export interface TurnHost extends ClaimHost {
  readonly type: string;
  /** Ends when whoever has the turn waits no longer, before the handler was begun. */
  readonly leaving: Ending;
  /** Tells when the entry may have changed. */
  watch(): EntryWatch;
  /** Handles the call under a claim; `undefined` when another's answer is the one that counts. */
  handle(claim: Claim): Promise<Outcome | undefined>;
}

/** Handles a call, unless it is or was handled elsewhere: then its answer is waited for. Never rejects. */
export async function takeTurn(key: CallKey, host: TurnHost): Promise<Outcome> {
  try {
    return await turn(key, host);
  } catch (thrown) {
    return host.leaving.aborted ? { type: "gone" } : { type: "failed", fault: refused(host.type, thrown) };
  }
}

async function turn(key: CallKey, host: TurnHost): Promise<Outcome> {
  const { leaving } = host;
  let mayHandle = true;
  for (;;) {
    const claim = new Claim(host, key);
    let entry = mayHandle ? await claim.take(leaving) : await look(key, host);
    if (entry === undefined && mayHandle) {
      if (leaving.aborted) {
        await claim.release();
        return { type: "gone" };
      }
      const outcome = await host.handle(claim);
      if (outcome !== undefined) return outcome;
      mayHandle = false;
      entry = await look(key, host);
    }
    const outcome = entry === undefined ? unsettled(host.type) : await settle(key, host, entry);
    if (outcome !== undefined) return outcome;
  }
}

/** Waits for the answer of another; `undefined` when there is none and the call is nobody's. */
async function settle(key: CallKey, host: TurnHost, found: Entry): Promise<Outcome | undefined> {
  let entry: Entry | undefined = found;
  for (;;) {
    const record = decodeRecord(entry);
    if (record === undefined) return { type: "failed", fault: strange(host.type, entry!.key) };
    if (record.payload !== key.payload) return { type: "failed", fault: mismatch(host.type) };
    if (record.answer !== undefined) return { type: "answered", frame: record.answer };
    await host.watch().next(entry!.revision, host.leaving.signal);
    entry = await look(key, host);
    if (entry === undefined) return undefined;
  }
}

/** What is kept now; tries for as long as a claim lasts. */
async function look(
  { key }: CallKey,
  { store, runtime, ttl, leaving, watch }: TurnHost,
): Promise<Entry | undefined> {
  const { clock } = runtime;
  const end = clock.mono() + ttl;
  for (;;) {
    try {
      return await askStore(
        { clock, limit: ttl / 3, signal: leaving },
        (signal) => store.get(key, { signal }),
      );
    } catch (thrown) {
      if (leaving.aborted || clock.mono() >= end) throw thrown;
      await watch().next(Infinity, leaving.signal);
    }
  }
}

/** The failure of a call under a name that another call has: nothing was done. */
export function mismatch(type: string): Fault {
  const message =
    `"${type}" was sent before under this idempotency key, with another body: give it a key of its own`;
  return systemFault("CONFLICT", message, { reason: "IDEMPOTENCY_MISMATCH" });
}

/** The failure of a call that its own handling waits for. */
export function cycle(type: string): Fault {
  const message = `"${type}" was sent again, under the same idempotency key, by what handles it`;
  return systemFault("CONFLICT", message, { reason: "IDEMPOTENCY_CYCLE" });
}

function strange(type: string, key: string): Fault {
  return systemFault(
    "SERIALIZATION",
    `Cannot tell whether "${type}" was handled before: "${key}" holds no record of it`,
  );
}

/** Without the store nobody knows whether it was handled before, so it is not handled. */
function refused(type: string, thrown: unknown): Fault {
  const { code, message } = faultOf(thrown);
  const why = CatgaError.is(thrown) ? message : "the store failed";
  return systemFault(
    code === "OVERLOADED" ? "OVERLOADED" : "UNAVAILABLE",
    `Cannot tell whether "${type}" was handled before: ${why}`,
    undefined,
    thrown,
  );
}

function unsettled(type: string): Outcome {
  const message = `"${type}" was handled, but its answer could not be kept`;
  return { type: "failed", fault: systemFault("TRANSPORT", message) };
}
