import type { Clock, FetchInit, FetchReply, LogEntry, Runtime } from "../ports/runtime.ts";
import type { QueuedEvent } from "./event_queue.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";
import { toySigner } from "./toy_signer.ts";

/** What a simulated runtime needs of its simulation. */
export interface RuntimeDriver {
  /** Virtual time in ms since the simulation began. */
  readonly time: number;
  /** Plans something for a node's life at a time. */
  plan(life: Life, time: number, run: () => void): QueuedEvent;
  cancel(event: QueuedEvent): void;
  /** A timer of a node has run. */
  timerRan(life: Life): void;
  log(life: Life, entry: LogEntry): void;
  fetch(life: Life, url: string, init: FetchInit): Promise<FetchReply>;
}

/** How the clock of one life of a node goes. */
export interface ClockSetting {
  /** What the wall clock shows when the simulation begins, in ms since 1970. */
  readonly wall: number;
  /** What the monotonic clock shows when this life begins, in ms. */
  readonly mono: number;
  /** How much faster than virtual time both go: 0.001 is 1 ms more each second. */
  readonly drift: number;
  /** How late a timer runs at most, in ms. */
  readonly lateness: number;
}

/** The door to a simulated outside for one life of a node. */
export function simulatedRuntime(
  driver: RuntimeDriver,
  life: Life,
  setting: ClockSetting,
  random: SeededRandom,
): Runtime {
  return {
    clock: simulatedClock(driver, life, setting, random.fork("timers")),
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

/** Virtual time goes in steps of this many parts of a ms. */
const STEPS = 1000;

function simulatedClock(
  driver: RuntimeDriver,
  life: Life,
  setting: ClockSetting,
  random: SeededRandom,
): Clock {
  const { wall, mono, drift, lateness } = setting;
  const pace = 1 + drift;
  const born = driver.time;
  const monoAt = (time: number): number => mono + (time - born) * pace;
  /** The first step of virtual time at which this clock shows no less. */
  const timeOf = (due: number): number => {
    const time = Math.ceil((born + (due - mono) / pace) * STEPS) / STEPS;
    return monoAt(time) < due ? time + 1 / STEPS : time;
  };
  return {
    mono: () => monoAt(driver.time),
    wall: () => Math.floor(wall + driver.time * pace),
    timer: (ms, run) => {
      const late = lateness * random.fraction();
      const wait = ms > 0 ? ms + late : late;
      if (!life.alive || wait === Infinity) return () => {};
      let running = true;
      life.timers++;
      const stop = (): void => {
        running = false;
        life.timers--;
      };
      const time = Math.max(timeOf(monoAt(driver.time) + wait), driver.time);
      const event = driver.plan(life, time, () => {
        stop();
        driver.timerRan(life);
        run();
      });
      return () => {
        if (!running) return;
        stop();
        driver.cancel(event);
      };
    },
  };
}
