import type { QueueDesk } from "./queue_desk.ts";

/** How many desks are kept when nobody waits at them. */
const KEPT = 1000;

/** The desks of a process, by topic and group. */
export class QueueDesks {
  readonly #open: (topic: string, group: string) => QueueDesk;
  readonly #topics: Map<string, Map<string, QueueDesk>> = new Map();
  #count = 0;

  constructor(open: (topic: string, group: string) => QueueDesk) {
    this.#open = open;
  }

  get(topic: string, group: string): QueueDesk {
    const known = this.#topics.get(topic)?.get(group);
    if (known !== undefined) return known;
    if (this.#count >= KEPT) this.#forget();
    let desks = this.#topics.get(topic);
    if (desks === undefined) this.#topics.set(topic, desks = new Map());
    const desk = this.#open(topic, group);
    desks.set(group, desk);
    this.#count++;
    return desk;
  }

  /** There may be something to take in so many ms, for one group or all of the topic. */
  expect(topic: string, ms: number, group?: string): void {
    const desks = this.#topics.get(topic);
    if (group !== undefined) desks?.get(group)?.expect(ms);
    else for (const desk of desks?.values() ?? []) desk.expect(ms);
  }

  /** All of them. */
  *all(): Iterable<QueueDesk> {
    for (const desks of this.#topics.values()) yield* desks.values();
  }

  #forget(): void {
    for (const [topic, desks] of this.#topics) {
      for (const [group, desk] of desks) {
        if (desk.size === 0 && desks.delete(group)) this.#count--;
      }
      if (desks.size === 0) this.#topics.delete(topic);
    }
  }
}
