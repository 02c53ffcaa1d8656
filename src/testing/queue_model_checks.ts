import type { Delivery } from "../ports/queue.ts";
import { type SeededRandom, seededRandom } from "./random.ts";
import { failing, must, same } from "./store_trial.ts";
import type { QueueTrial } from "./queue_trial.ts";

/** Time goes in steps of so much of a lease; everything else ends between two of them. */
const STEP = 0.4;
const GROUPS = ["a", "b"];

/** What is promised of everything together. */
export const modelChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "random operations come out as those of a plain list": async (trial) => {
    for (let seed = 1; seed <= 4; seed++) await new ModelRun(trial, `m${seed}`, seededRandom(seed)).run();
  },
};

/** An item as a group should have it. */
interface Wanted {
  readonly id: string;
  readonly key: string | undefined;
  /** When it is due or its lease over, in steps. */
  time: number;
  attempt: number;
  delivery: Delivery | undefined;
  /** One that is over. */
  old: Delivery | undefined;
}

/** A queue beside what it should be like. */
export class ModelRun {
  readonly #trial: QueueTrial;
  readonly #topic: string;
  readonly #random: SeededRandom;
  readonly #wanted: Map<string, Wanted[]> = new Map();
  #names = 0;
  #last: number | undefined;
  #now = 0;

  constructor(trial: QueueTrial, topic: string, random: SeededRandom) {
    this.#trial = trial;
    this.#topic = topic;
    this.#random = random;
  }

  async run(): Promise<void> {
    const random = this.#random;
    for (let step = 0; step < 60; step++) {
      const group = random.pick(GROUPS);
      const dice = random.below(20);
      if (dice < 6) await this.#push();
      else if (dice < 10) await this.#pull(group);
      else if (dice < 16) await this.#settle(group);
      else if (dice < 18) await this.#pass(1);
      else if (dice === 18) await this.#compare(group);
      else if (this.#wanted.has(group) && random.chance(0.3)) await this.#end(group);
      else await this.#begin(group);
    }
    await this.#pass(4);
    for (const group of GROUPS) {
      while (this.#wanted.get(group)?.length) {
        const pulled = await this.#pull(group);
        must("what is due comes", pulled > 0);
        for (const wanted of this.#held(group)) await this.#ack(group, wanted);
        if (this.#free(group).length === 0) await this.#pass(4);
      }
      await this.#compare(group);
    }
  }

  async #begin(group: string): Promise<void> {
    await this.#trial.subscribe(this.#topic, group);
    if (!this.#wanted.has(group)) this.#wanted.set(group, []);
  }

  async #end(group: string): Promise<void> {
    await this.#trial.other.unsubscribe(this.#trial.topic(this.#topic), group);
    this.#wanted.delete(group);
  }

  async #push(): Promise<void> {
    const random = this.#random;
    const again = random.chance(0.2) ? this.#last : undefined;
    const numbers = Array.from({ length: random.below(4) }, () => this.#names++);
    // Nothing is promised of names that were pushed when nobody was there.
    if (this.#wanted.size > 0) this.#last = numbers[0] ?? this.#last;
    if (again !== undefined) numbers.push(again);
    const items = numbers.map((number) => ({
      id: `${number}`,
      key: random.pick([undefined, "k", "l"]),
      payload: `${number}`,
      steps: random.pick([0, 0, 0, 0.5, 2.5]),
    }));
    const pushed = items.map(({ steps, ...item }) => ({ ...item, delay: steps * STEP * this.#trial.lease }));
    await this.#side().push(this.#trial.topic(this.#topic), pushed);
    for (const wanted of this.#wanted.values()) {
      for (const { id, key, steps } of items) {
        if (id === `${again}`) continue;
        wanted.push({ id, key, time: this.#now + steps, attempt: 0, delivery: undefined, old: undefined });
      }
    }
  }

  async #pull(group: string): Promise<number> {
    const max = 1 + this.#random.below(4);
    const steps = this.#random.pick([1.5, 3.5]);
    const pull = this.#trial.pull(this.#topic, group, { max, lease: steps * STEP }, this.#side());
    if (!this.#wanted.has(group)) {
      await failing("a pull from no group", "NO_HANDLER", pull);
      return 0;
    }
    const taken = await pull;
    const free = this.#free(group);
    must(
      `of ${free.length} that are due ${taken.length} of at most ${max} come`,
      taken.length <= max && (taken.length > 0 || free.length === 0),
    );
    for (const delivery of taken) {
      const wanted = free.find(({ id }) => id === delivery.id);
      if (wanted === undefined) throw new Error(`${delivery.id} came to ${group}, but was not due`);
      free.splice(free.indexOf(wanted), 1);
      same(
        `what came of ${wanted.id}`,
        [delivery.payload, delivery.key ?? null, delivery.attempt],
        [wanted.id, wanted.key ?? null, ++wanted.attempt],
      );
      wanted.time = this.#now + steps;
      wanted.old = wanted.delivery ?? wanted.old;
      wanted.delivery = delivery;
    }
    return taken.length;
  }

  /** Does something with what somebody has in hands, or had. */
  async #settle(group: string): Promise<void> {
    const given = (this.#wanted.get(group) ?? []).filter(({ delivery }) => delivery !== undefined);
    if (given.length === 0) return;
    const wanted = this.#random.pick(given);
    const dice = this.#random.below(6);
    const steps = this.#random.pick([0.5, 1.5]);
    const ms = steps * STEP * this.#trial.lease;
    const isOver = wanted.time < this.#now;
    const delivery = wanted.old !== undefined && this.#random.chance(0.3) ? wanted.old : wanted.delivery!;
    if (isOver || delivery === wanted.old) {
      const late = dice < 2 ? delivery.ack() : dice < 4 ? delivery.retry(ms) : delivery.extend(ms);
      await failing(`something with ${wanted.id} when its lease was over`, "CONFLICT", late);
      wanted.old = delivery;
      if (isOver) wanted.delivery = undefined;
    } else if (dice < 3) await this.#ack(group, wanted);
    else if (dice === 3) {
      await delivery.extend(ms);
      wanted.time = this.#now + steps;
    } else {
      await delivery.retry(dice === 4 ? 0 : ms);
      wanted.time = this.#now + (dice === 4 ? 0 : steps);
      wanted.old = delivery;
      wanted.delivery = undefined;
    }
  }

  async #ack(group: string, wanted: Wanted): Promise<void> {
    const all = this.#wanted.get(group)!;
    await wanted.delivery!.ack();
    all.splice(all.indexOf(wanted), 1);
  }

  async #pass(steps: number): Promise<void> {
    this.#now += steps;
    await this.#trial.pass(steps * STEP);
  }

  async #compare(group: string): Promise<void> {
    const backlog = this.#side().backlog(this.#trial.topic(this.#topic), group);
    const wanted = this.#wanted.get(group);
    if (wanted === undefined) return void await failing("a backlog of no group", "NO_HANDLER", backlog);
    const { items, leased } = await backlog;
    same(`how it stands with ${group}`, [items, leased], [wanted.length, this.#held(group).length]);
  }

  #held(group: string): Wanted[] {
    return (this.#wanted.get(group) ?? []).filter(({ delivery, time }) =>
      delivery !== undefined && time > this.#now
    );
  }

  /** What may be handed out now: the first of each key, if the queue keeps their order. */
  #free(group: string): Wanted[] {
    const all = this.#wanted.get(group) ?? [];
    const first = (wanted: Wanted): boolean =>
      wanted.key === undefined || !this.#trial.queue.ordered ||
      all.find(({ key }) => key === wanted.key) === wanted;
    return all.filter((wanted) => wanted.time <= this.#now && first(wanted));
  }

  #side(): QueueTrial["queue"] {
    return this.#random.chance(0.5) ? this.#trial.queue : this.#trial.other;
  }
}
