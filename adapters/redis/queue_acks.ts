import { createTurn } from "../../src/internal/turn.ts";
import type { DeliveryGroup } from "./queue_delivery.ts";
import { ACK } from "./queue_scripts_items.ts";
import type { Reply } from "./wire.ts";

interface Ack {
  readonly group: DeliveryGroup;
  readonly words: readonly (string | number)[];
  readonly resolve: (done: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** How many are sent in one command. */
const BATCH = 500;

/** Sends what one turn acknowledges in one command a group. */
export class QueueAcks {
  #waiting: Ack[] = [];
  readonly #turn: () => void = createTurn(() => this.#waiting.length, () => this.flush());

  /** Resolves to whether the item is done with. */
  add(group: DeliveryGroup, item: string, attempt: number, key: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ group, words: [item, attempt, key], resolve, reject });
      this.#turn();
    });
  }

  /** Sends those that wait at once, so that what is asked for next comes after them. */
  flush(): void {
    const all = Map.groupBy(this.#waiting, ({ group }) => `${group.tag} ${group.number}`);
    this.#waiting = [];
    for (const acks of all.values()) {
      for (let at = 0; at < acks.length; at += BATCH) void send(acks.slice(at, at + BATCH));
    }
  }
}

async function send(acks: readonly Ack[]): Promise<void> {
  const { group } = acks[0]!;
  try {
    const answer = await group.run(ACK, [group.number, ...acks.flatMap(({ words }) => words)]);
    const [answers, freed] = answer as readonly [readonly Reply[], number];
    for (const [at, { resolve }] of acks.entries()) resolve(answers[at] === 1);
    if (freed > 0) group.expect(0);
  } catch (thrown) {
    for (const { reject } of acks) reject(thrown);
  }
}
