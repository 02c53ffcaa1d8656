import { createTurn } from "../../src/internal/turn.ts";
import type { DeliveryGroup, TakenItem } from "./queue_delivery.ts";
import { ACK } from "./queue_scripts_held.ts";

interface Ack {
  readonly group: DeliveryGroup;
  readonly taken: TakenItem;
  readonly resolve: (done: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** How many are sent in one command; what was taken at once goes together. */
const BATCH = 500;

/** Sends what one turn acknowledges in one command a group. */
export class QueueAcks {
  #waiting: Ack[] = [];
  readonly #turn: () => void = createTurn(() => this.#waiting.length, () => this.flush());

  /** Resolves to whether the item is done with. Until then it must not be added again. */
  add(group: DeliveryGroup, taken: TakenItem): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ group, taken, resolve, reject });
      this.#turn();
    });
  }

  /** Sends those that wait at once, so that what is asked for next comes after them. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const holds = [...Map.groupBy(this.#waiting, ({ taken }) => taken.hold).values()];
    this.#waiting = [];
    const groups = Map.groupBy(holds, ([first]) => `${first!.group.tag} ${first!.group.number}`);
    for (const all of groups.values()) {
      let batch: (readonly Ack[])[] = [];
      let size = 0;
      for (const hold of all) {
        batch.push(hold);
        size += hold.length;
        if (size < BATCH) continue;
        void send(batch);
        [batch, size] = [[], 0];
      }
      if (size > 0) void send(batch);
    }
  }
}

/** Sends the acks of a group, those of each hold together. */
async function send(holds: readonly (readonly Ack[])[], whole: boolean = true): Promise<void> {
  const { group } = holds[0]![0]!;
  const words = holds.flatMap((acks) => [
    acks[0]!.taken.hold.id,
    acks.length,
    ...(whole && isAll(acks) ? ["all"] : acks.map(wordOf)),
  ]);
  try {
    const [answers, freed] = await group.run(ACK, [group.number, ...words]) as readonly [string[], number];
    for (const [at, acks] of holds.entries()) {
      const answer = answers[at]!;
      if (answer === "none") void send([acks], false);
      else for (const [n, { resolve }] of acks.entries()) resolve(answer === "all" || answer[n] === "1");
    }
    if (freed > 0) group.expect(0);
  } catch (thrown) {
    for (const { reject } of holds.flat()) reject(thrown);
  }
}

/** Whether these are all that was taken at once, and none of them came again. */
function isAll(acks: readonly Ack[]): boolean {
  return acks.length === acks[0]!.taken.hold.size && acks.every(({ taken }) => taken.attempt === 1);
}

function wordOf({ taken: { number, attempt, key } }: Ack): string {
  if (attempt === 1 && key === undefined) return number;
  return `${number} ${attempt} ${key === undefined ? "v" : `k${key}`}`;
}
