/** What a wheel turns on. */
export interface WheelDrive {
  now(): number;
  schedule(ms: number, run: () => void): () => void;
}

const TICK = 4;
const NEAR = 50;
const LONGEST = 2 ** 30;

/**
 * Many timers on one platform timer. Timers are grouped by the tick they fall due in, so that starting and calling
 * off a timer that never fires touches the platform not at all. A timer is never early, and at most one tick
 * (4 ms) late by the wheel's doing; times over the platform's limit of 2^31 ms are kept exactly. An empty wheel
 * keeps a process alive for 50 ms at most.
 */
export function createTimerWheel(drive: WheelDrive): (ms: number, run: () => void) => () => void {
  const slots = new Map<number, Set<() => void>>();
  let armedFor = Infinity;
  let far = false;
  let disarm: (() => void) | undefined;

  function arm(tick: number, longest: number): void {
    disarm?.();
    armedFor = tick;
    const wait = Math.max(tick * TICK - drive.now(), 0);
    far = Math.min(wait, longest) > NEAR;
    disarm = drive.schedule(Math.min(wait, longest), turn);
  }

  function turn(): void {
    disarm = undefined;
    armedFor = Infinity;
    const reached = Math.floor(drive.now() / TICK);
    const errors: unknown[] = [];
    for (const tick of [...slots.keys()].filter((tick) => tick <= reached).sort((a, b) => a - b)) {
      const slot = slots.get(tick);
      // A callback may just have called off all that was in it.
      if (slot === undefined) continue;
      slots.delete(tick);
      for (const run of slot) {
        slot.delete(run);
        try {
          run();
        } catch (error) {
          errors.push(error);
        }
      }
    }
    let next = Infinity;
    for (const tick of slots.keys()) if (tick < next) next = tick;
    if (next < armedFor) arm(next, LONGEST);
    if (errors.length > 0) throw errors[0];
  }

  return (ms, run) => {
    const tick = Math.ceil((drive.now() + Math.max(ms, 0)) / TICK);
    const slot = slots.get(tick) ?? new Set();
    slots.set(tick, slot);
    const entry = (): void => run();
    slot.add(entry);
    if (tick < armedFor) arm(tick, NEAR);
    return () => {
      if (!slot.delete(entry) || slot.size > 0) return;
      if (slots.get(tick) === slot) slots.delete(tick);
      if (slots.size > 0 || !far) return;
      disarm?.();
      disarm = undefined;
      armedFor = Infinity;
    };
  };
}
