import { base64url } from "../internal/base64url.ts";
import { createTimerWheel } from "../internal/timer_wheel.ts";
import type { Clock, FetchInit, FetchReply, LogEntry, Runtime, Signer } from "./runtime.ts";

/** What of {@linkcode systemRuntime} to replace. */
export interface SystemRuntimeOptions {
  /** Takes log entries; the default writes warnings and errors to the console. */
  readonly log?: (entry: LogEntry) => void;
  /** Sends requests; the default is the platform's `fetch`. */
  readonly fetch?: (url: string, init: FetchInit) => Promise<FetchReply>;
  /** Takes background work, as `ctx.waitUntil` does on edge platforms. */
  readonly background?: (work: Promise<unknown>) => void;
}

/**
 * The real world, by web standards alone: the same on Deno, Bun, Node and edge platforms.
 *
 * @example
 * ```ts
 * import { systemRuntime } from "@catga/catga/ports";
 * const runtime = systemRuntime({ log: (entry) => console.log(entry.level, entry.message) });
 * ```
 */
export function systemRuntime(options: SystemRuntimeOptions = {}): Runtime {
  return {
    clock: systemClock(),
    random: { u32: systemRandom() },
    crypto: systemSigner(),
    fetch: options.fetch ?? ((url, init) => fetch(url, { ...init, redirect: "manual" } as RequestInit)),
    background: options.background ?? ((work) => void work.catch(() => {})),
    log: options.log ?? logToConsole,
  };
}

/** Asks the platform for many numbers at once: one alone costs it a microsecond or two. */
function systemRandom(): () => number {
  const drawn = new Uint32Array(128);
  let left = 0;
  return () => {
    if (left === 0) left = crypto.getRandomValues(drawn).length;
    return drawn[--left]!;
  };
}

function systemClock(): Clock {
  const wheel = createTimerWheel({
    now: () => performance.now(),
    schedule: (ms, run) => {
      const id = setTimeout(run, ms);
      return () => clearTimeout(id);
    },
  });
  return { mono: () => performance.now(), wall: () => Date.now(), timer: wheel };
}

function systemSigner(): Signer {
  const keys = new Map<string, Promise<CryptoKey>>();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const utf8 = new TextEncoder();
  const bytesOf = (body: string | Uint8Array) =>
    (typeof body === "string" ? utf8.encode(body) : body) as Uint8Array<ArrayBuffer>;
  return {
    hmac: async (key, text) => {
      let imported = keys.get(key);
      if (imported === undefined) {
        imported = crypto.subtle.importKey("raw", utf8.encode(key), algorithm, false, ["sign"]);
        if (keys.size >= 16) keys.clear();
        keys.set(key, imported);
      }
      return base64url(new Uint8Array(await crypto.subtle.sign(algorithm, await imported, bytesOf(text))));
    },
    hash: async (body) => base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(body)))),
  };
}

function logToConsole(entry: LogEntry): void {
  if (entry.level === "error") console.error(entry.message, entry.fields ?? "");
  else if (entry.level === "warn") console.warn(entry.message, entry.fields ?? "");
}
