import type { NewEvent } from "../ports/event_store.ts";
import { eventOf, type EventStoreTrial, idsOf } from "./event_store_trial.ts";
import { seededRandom } from "./random.ts";
import { failing, must, same } from "./store_trial.ts";

/** What is promised of reading. */
export const readChecks: Readonly<Record<string, (trial: EventStoreTrial) => Promise<void>>> = {
  "a stream is read from any version, forward and backward, up to a limit": async (trial) => {
    const { other } = trial;
    const stream = trial.stream("a");
    await trial.append("a", idsOf(4, ""));
    await trial.append("b", ["x"]);
    await trial.append("a", ["4", "5"]);
    const read = async (from?: number, limit?: number, backward?: boolean): Promise<string> =>
      (await other.read(stream, { from, limit, backward })).map(({ id }) => id).join("");
    const reads = [
      [await read(), "012345"],
      [await read(3), "2345"],
      [await read(2, 3), "123"],
      [await read(6), "5"],
      [await read(7), ""],
      [await read(undefined, undefined, true), "543210"],
      [await read(3, undefined, true), "210"],
      [await read(undefined, 2, true), "54"],
      [await read(4, 2, true), "32"],
      [await read(1, 5, true), "0"],
      [await read(9, 2, true), "54"],
    ];
    for (const [found, wanted] of reads) same("a read", found, wanted);
    same("by pages", (await trial.all("a", other, 2)).map(({ id }) => id), idsOf(6, ""));
    same("a stream that is not there", await other.read(trial.stream("c"), { backward: true }), []);
  },

  "an event is found by its id, in its stream": async (trial) => {
    const { events, other } = trial;
    await trial.append("a", idsOf(30, ""));
    for (const id of ["0", "7", "29"]) {
      const [wanted] = await events.read(trial.stream("a"), { from: Number(id) + 1, limit: 1 });
      same("the event", await other.find(trial.stream("a"), id), wanted);
    }
    same("another id", await other.find(trial.stream("a"), "30"), undefined);
    same("another stream", await other.find(trial.stream("b"), "0"), undefined);
    await failing("no id", "VALIDATION", other.find(trial.stream("a"), ""));
    await failing("an id too long", "VALIDATION", other.find(trial.stream("a"), "i".repeat(129)));
  },

  "all events have one order, which keeps that of each stream": async (trial) => {
    const start = await trial.events.head();
    const wanted: string[] = [];
    for (let at = 0; at < 30; at++) {
      const name = `${at % 3}`;
      await trial.append(name, [`${at}`, `${at} too`], undefined, at % 2 === 0 ? trial.events : trial.other);
      wanted.push(`${at}`, `${at} too`);
    }
    const all = await trial.everything(start);
    same("all events", all.map(({ id }) => id), wanted);
    same("by pages", await trial.everything(start, trial.events, 7), all);
    for (const name of ["0", "1", "2"]) {
      const stream = trial.stream(name);
      same(
        "a stream, read alone and among all",
        await trial.all(name),
        all.filter((event) => event.stream === stream),
      );
    }
    const middle = all[20]!;
    same("after one of them", (await trial.everything(middle.position))[0], all[21]);
    same("after the last one", await trial.everything(all.at(-1)!.position), []);
    must("times do not go back", all.every(({ at }, i) => i === 0 || at >= all[i - 1]!.at));
    must("times are numbers", all.every(({ at }) => Number.isFinite(at)));
  },

  "the head is the position of the last event": async (trial) => {
    const before = await trial.events.head();
    const { position } = await trial.append("a", ["1", "2"]);
    must("it grows", position > before);
    const head = await trial.other.head();
    must(`it is not before the last event: ${head}, ${position}`, head >= position);
    const [last] = (await trial.events.readAll({ after: before })).slice(-1);
    must("whoever reads finds all up to it", last!.position >= head);
  },

  "whoever follows all streams while many write misses nothing": async (trial) => {
    const start = await trial.events.head();
    let open = true;
    const seen: string[] = [];
    const reader = (async () => {
      for (let last = start;;) {
        const done = !open;
        const page = await trial.other.readAll({ after: last, limit: 5 });
        for (const event of page) {
          if (event.stream.startsWith(trial.stream(""))) seen.push(`${event.stream} ${event.version}`);
          must("positions grow", event.position > last);
          last = event.position;
        }
        if (done && page.length === 0) return;
      }
    })();
    const writers = Array.from({ length: 10 }, async (_, at) => {
      for (let n = 0; n < 10; n++) {
        await trial.append(`${at % 4}`, [`${at} ${n}`], "any", at % 2 === 0 ? trial.events : trial.other);
      }
    });
    await Promise.all(writers).finally(() => open = false);
    await reader;
    const all = await trial.everything(start);
    same("what was seen", seen, all.map(({ stream, version }) => `${stream} ${version}`));
    same("how many there are", seen.length, 100);
  },

  "a wait ends when there is something, and when its time is over": async (trial) => {
    const { events, other, wait } = trial;
    const start = await events.head();
    const { position } = await trial.append("a", ["1"]);
    await other.changed(start, { wait });
    const waits = [
      events.changed(position, { wait: 100 * wait }),
      other.changed(position, {
        wait: 100 * wait,
      }),
    ];
    await trial.append("b", ["1"]);
    await Promise.all(waits);
    const head = await events.head();
    await other.changed(head, { wait: 0 });
    const over = events.changed(head, { wait });
    await trial.pass(1.2 * wait);
    await over;
    for (const wait of [-1, NaN, Infinity]) {
      await failing(`a wait of ${wait}`, "VALIDATION", events.changed(head, { wait }));
    }
    const controller = new AbortController();
    const left = failing(
      "a wait that was left",
      "CANCELLED",
      events.changed(head, { wait: 100 * wait, signal: controller.signal }),
    );
    controller.abort();
    await left;
  },

  "a read that makes no sense is refused": async (trial) => {
    const { events } = trial;
    const stream = trial.stream("a");
    for (const limit of [0, -1, 1.5, NaN, Infinity]) {
      await failing(`a limit of ${limit}`, "VALIDATION", events.read(stream, { limit }));
      await failing(`a limit of ${limit}`, "VALIDATION", events.readAll({ limit }));
    }
    for (const from of [0, -1, 1.5]) {
      await failing(`from ${from}`, "VALIDATION", events.read(stream, { from }));
    }
    for (const after of [-1, 0.5, NaN]) {
      await failing(`after ${after}`, "VALIDATION", events.readAll({ after }));
      await failing(`after ${after}`, "VALIDATION", events.changed(after, { wait: 1 }));
    }
  },

  "a signal that has aborted keeps everything from being done": async (trial) => {
    const { events } = trial;
    const stream = trial.stream("a");
    const signal = AbortSignal.abort();
    await trial.append("a", ["1"]);
    await failing("an append", "CANCELLED", events.append(stream, [eventOf("2")], { signal }));
    await failing("a read", "CANCELLED", events.read(stream, { signal }));
    await failing("a find", "CANCELLED", events.find(stream, "1", { signal }));
    await failing("a read of all", "CANCELLED", events.readAll({ signal }));
    await failing("a head", "CANCELLED", events.head({ signal }));
    await failing("a wait", "CANCELLED", events.changed(0, { wait: 1, signal }));
    same("the stream after it", await trial.ids("a"), ["1"]);
  },

  "two hundred random operations come out as those of plain arrays": async (trial) => {
    const random = seededRandom(1);
    const start = await trial.events.head();
    const model = new Map<string, NewEvent[]>();
    const all: string[] = [];
    for (let step = 0; step < 200; step++) {
      const events = random.chance(0.5) ? trial.events : trial.other;
      const name = `${random.below(4)}`;
      const kept = model.get(name) ?? [];
      if (random.chance(0.6)) {
        const given = idsOf(random.below(4), `${step} `).map(eventOf);
        const expected = random.chance(0.3) ? "any" : kept.length + (random.chance(0.2) ? 1 : 0);
        const append = events.append(trial.stream(name), given, { expected });
        if (expected === "any" || expected === kept.length) {
          same("its version", (await append).version, kept.length + given.length);
          model.set(name, [...kept, ...given]);
          all.push(...given.map(({ id }) => id));
        } else await failing(`append ${step}`, "CONFLICT", append);
      } else {
        const from = 1 + random.below(kept.length + 2), limit = 1 + random.below(9);
        const backward = random.chance(0.5);
        const wanted = backward
          ? kept.slice(0, from).reverse().slice(0, limit)
          : kept.slice(from - 1, from - 1 + limit);
        const page = await events.read(trial.stream(name), { from, limit, backward });
        same(`read ${step}`, page.map(({ id }) => id), wanted.map(({ id }) => id));
      }
    }
    same("all events", (await trial.everything(start)).map(({ id }) => id), all);
  },
};
