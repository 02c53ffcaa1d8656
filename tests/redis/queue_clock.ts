/** Time that is told to pass, for a real Redis: its scripts are told what time it is, and everything else goes by timers. */

import type { Runtime } from "@catga/catga/ports";
import type { Wire } from "../../adapters/redis/wire.ts";
import { quiet } from "./support.ts";

export interface ToldClock {
  readonly runtime: Runtime;
  /** The same wire, by which Redis hears the time. */
  wire(inner: Wire): Wire;
  /** Lets so many ms pass: timers in order, and after each all that comes of it. */
  pass(ms: number): Promise<void>;
  /** All that is under way comes to its end. */
  settle(): Promise<void>;
}

/** Keys go by the server's own clock, so what is told must not be before it. */
const AHEAD = 60_000;
const ASKED = `call("TIME")`;

/** Makes a clock. Scripts go as their source, in which the time stands. */
export function toldClock(): ToldClock {
  const start = Date.now() + AHEAD;
  let now = 0;
  let open = 0;
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  const runtime: Runtime = {
    ...quiet(),
    clock: {
      mono: () => now,
      wall: () => start + now,
      timer: (ms, run) => {
        const timer = { at: now + ms, run };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
  };

  async function settle(): Promise<void> {
    for (let still = 0; still < 3; still = open === 0 ? still + 1 : 0) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  function told(words: readonly string[]): readonly string[] {
    const [name, source, ...rest] = words;
    if (name !== "EVAL" || source === undefined) return words;
    const micros = Math.floor((start + now) * 1000);
    const time = `{ "${Math.floor(micros / 1_000_000)}", "${micros % 1_000_000}" }`;
    return [name, source.replace(ASKED, time), ...rest];
  }

  return {
    runtime,
    wire: (inner) => ({
      request: async (commands, signal) => {
        open++;
        try {
          const outcomes = await inner.request(
            commands.map((words) => words[0] === "EVALSHA" ? ["ECHO", ""] : told(words)),
            signal,
          );
          return outcomes.map((each, at) => commands[at]![0] === "EVALSHA" ? { error: "NOSCRIPT" } : each);
        } finally {
          open--;
        }
      },
    }),
    pass: async (ms) => {
      const end = now + ms;
      for (;;) {
        await settle();
        let first: { readonly at: number; readonly run: () => void } | undefined;
        for (const timer of timers) if (first === undefined || timer.at < first.at) first = timer;
        if (first === undefined || first.at > end) break;
        timers.delete(first);
        now = Math.max(now, first.at);
        first.run();
      }
      now = end;
      await settle();
    },
    settle,
  };
}
