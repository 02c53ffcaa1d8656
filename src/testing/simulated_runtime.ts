import type { FetchInit, FetchReply, LogEntry, Runtime } from "../ports/runtime.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { toySigner } from "./toy_signer.ts";

/** What a simulated runtime needs of its simulation. */
export interface RuntimeDriver {
  log(life: Life, entry: LogEntry): void;
  fetch(life: Life, url: string, init: FetchInit): Promise<FetchReply>;
}

/** The door to a simulated outside for one life of a node. */
export function simulatedRuntime(
  driver: RuntimeDriver,
  life: Life,
  clock: SimulatedClock,
  random: SeededRandom,
): Runtime {
  return {
    clock: {
      mono: () => clock.mono(),
      wall: () => clock.wall(),
      timer: (ms, run) => clock.timer(ms, run),
    },
    random: { u32: () => random.u32() },
    crypto: toySigner(),
    fetch: (url, init) => driver.fetch(life, url, init),
    background: (work) => {
      life.background++;
      const settled = (): void => void life.background--;
      work.then(settled, settled);
    },
    log: (entry) => driver.log(life, entry),
  };
}
