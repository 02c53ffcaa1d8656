import { backoff } from "../../src/internal/backoff.ts";
import { sleep } from "../../src/internal/sleep.ts";
import type { OpenDiscovery } from "../../src/ports/discovery.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import { CatgaError } from "../../src/result.ts";
import { Found } from "./found.ts";
import { reasonOf } from "./trouble.ts";

/** Looks once: puts what it finds where it is told and answers how many ms to wait; rejects when it fails. */
export type Look = (found: Found, signal: AbortSignal) => Promise<number>;

const SHORTEST = 50;
const FIRST = 500;
const LONGEST = 30_000;

/** Looks again and again until it is disposed; after failures after a random, growing wait. */
export function keepLooking(name: string, runtime: Runtime, look: Look): OpenDiscovery {
  const end = new AbortController();
  const { signal } = end;
  const { clock, random } = runtime;
  const found = new Found(name, runtime.log.bind(runtime));

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      let wait: number;
      try {
        wait = await look(found, signal);
        failures = 0;
        if (!signal.aborted) found.well();
      } catch (error) {
        if (signal.aborted) break;
        found.failed(reasonOf(error));
        wait = Math.max(SHORTEST + backoff(++failures, FIRST, LONGEST, random.u32()), askedFor(error));
      }
      await sleep(clock, wait, signal);
    }
    found.end();
  }

  const running = run();
  return {
    endpoints: () => found.endpoints,
    ready: found.ready,
    get failures() {
      return found.failures;
    },
    [Symbol.asyncDispose]: () => {
      end.abort();
      return running;
    },
  };
}

/** How long a server asked to wait, in ms. */
function askedFor(error: unknown): number {
  const data = CatgaError.is(error) ? error.data as { readonly retryAfter?: number } | undefined : undefined;
  return data?.retryAfter ?? 0;
}
