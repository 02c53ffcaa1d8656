import type { SeededRandom, Simulation } from "@catga/catga/testing";

/** What nodes can be cut off from. */
interface Shared {
  cut(node: string): void;
  mend(node: string): void;
}

/** Cuts nodes off from something that they share, fewer than so many times, each for a while, until so many ms are over. */
export function cutOff(
  simulation: Simulation,
  shared: Shared,
  names: readonly string[],
  { random, times, ms }: { readonly random: SeededRandom; readonly times: number; readonly ms: number },
): void {
  for (let left = random.below(times); left > 0; left--) {
    const node = random.pick(names);
    const at = random.between(0, ms);
    simulation.after(at, () => shared.cut(node));
    simulation.after(Math.min(at + random.between(50, 3000), ms), () => shared.mend(node));
  }
}
