import type { ExpectedVersion, NewEvent } from "../ports/event_store.ts";
import { eventOf, type EventStoreTrial, idsOf } from "./event_store_trial.ts";
import { failing, must, same } from "./store_trial.ts";

/** What an event must be kept with as it is: texts that carriers like to spoil. */
const ODD = ["a b", "ü/…/😀", "a.b*c>d", "%2F..", "x\ny", "\u0000", '{"a":"\\\\"}', "'; --", " "];

/** What is promised of appends. */
export const appendChecks: Readonly<Record<string, (trial: EventStoreTrial) => Promise<void>>> = {
  "what was appended is read, by everybody, as it was and in order": async (trial) => {
    const { events, other } = trial;
    const stream = trial.stream("a");
    const given: NewEvent[] = [
      { id: "1", type: "opened", data: '{"by":"ann"}', meta: '{"cause":"c"}' },
      { id: "2", type: "closed", data: "{}" },
    ];
    const { version, position } = await events.append(stream, given);
    same("its version", version, 2);
    const read = await other.read(stream);
    const plain = read.map(({ id, type, data, meta }) => ({ id, type, data, meta }));
    same("the events", plain, given);
    same("their streams", read.map((event) => event.stream), [stream, stream]);
    same("their versions", read.map((event) => event.version), [1, 2]);
    must(
      `positions are whole numbers that grow: ${read[0]?.position}, ${read[1]?.position}`,
      read.every((event) => Number.isSafeInteger(event.position)) && read[0]!.position > 0 &&
        read[0]!.position < read[1]!.position,
    );
    same("the position that was answered", position, read[1]!.position);
    const next = await other.append(stream, [eventOf("3")]);
    same("the next version", next.version, 3);
    must("the next position is larger", next.position > position);
  },

  "texts come back as they were": async (trial) => {
    for (const [at, text] of ODD.entries()) {
      const stream = trial.stream(`odd ${text}`);
      const event: NewEvent = { id: text, type: text, data: text, ...(at % 2 === 0 ? { meta: text } : {}) };
      await trial.events.append(stream, [event]);
      const [read] = await trial.other.read(stream);
      same("an odd event", { ...read, position: 0, at: 0 }, {
        ...event,
        stream,
        version: 1,
        position: 0,
        at: 0,
      });
    }
    const long: NewEvent = {
      id: "i".repeat(128),
      type: "t".repeat(256),
      data: "ä".repeat(262_144),
      meta: "é".repeat(16_384),
    };
    const stream = trial.stream("s".repeat(256 - trial.stream("").length));
    await trial.events.append(stream, [long]);
    const [read] = await trial.other.read(stream);
    must("a large event", read?.data === long.data && read.meta === long.meta && read.type === long.type);
    await trial.events.append(trial.stream("empty"), [{ id: "1", type: "t", data: "", meta: "" }]);
    const [empty] = await trial.other.read(trial.stream("empty"));
    same("empty texts", [empty?.data, empty?.meta], ["", ""]);
  },

  "an append happens only where the stream is as expected": async (trial) => {
    const cases: readonly [ExpectedVersion, absent: boolean, atTwo: boolean][] = [
      ["any", true, true],
      ["absent", true, false],
      ["exists", false, true],
      [0, true, false],
      [1, false, false],
      [2, false, true],
      [3, false, false],
    ];
    for (const [expected, absent, atTwo] of cases) {
      for (const [fits, before] of [[absent, []], [atTwo, ["1", "2"]]] as const) {
        const name = `${expected} ${before.length}`;
        await trial.append(name, before);
        const append = trial.append(name, ["3"], expected, trial.other);
        if (fits) same("its version", (await append).version, before.length + 1);
        else {
          const { data } = await failing(`${expected} over ${before.length}`, "CONFLICT", append);
          same("the data of the conflict", data, { expected, found: before.length });
        }
        same("the stream after it", await trial.ids(name), fits ? [...before, "3"] : before);
      }
    }
  },

  "an append of nothing only looks": async (trial) => {
    const { events, other } = trial;
    const stream = trial.stream("a");
    same("no stream", await events.append(stream, [], { expected: "absent" }), { version: 0, position: 0 });
    await failing("no stream", "CONFLICT", events.append(stream, [], { expected: "exists" }));
    const last = await trial.append("a", ["1", "2"]);
    await trial.append("b", ["1"]);
    same("the stream", await other.append(stream, [], { expected: 2 }), last);
    const { data } = await failing("another version", "CONFLICT", other.append(stream, [], { expected: 1 }));
    same("the data of the conflict", data, { expected: 1, found: 2 });
    same("the stream after it", await trial.ids("a"), ["1", "2"]);
  },

  "of many that expect the same version one wins, with all of its events": async (trial) => {
    const wanted: string[] = [];
    for (let round = 0; round < 10; round++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, at) =>
          trial.append(
            "a",
            idsOf(3, `${round} ${at} `),
            wanted.length,
            at % 2 === 0 ? trial.events : trial.other,
          )),
      );
      const won = outcomes.findIndex(({ status }) => status === "fulfilled");
      must("exactly one wins", outcomes.filter(({ status }) => status === "fulfilled").length === 1);
      wanted.push(...idsOf(3, `${round} ${won} `));
      same("the stream", await trial.ids("a"), wanted);
    }
  },

  "a hundred writers at once lose nothing, not the first either, and stay whole": async (trial) => {
    const answers = await Promise.all(
      Array.from(
        { length: 100 },
        (_, at) => trial.append("a", idsOf(2, `${at} `), "any", at % 2 === 0 ? trial.events : trial.other),
      ),
    );
    const ids = await trial.ids("a");
    same("how many there are", ids.length, 200);
    for (const [at, { version }] of answers.entries()) {
      same("an append is where it was said to be", ids.slice(version - 2, version), idsOf(2, `${at} `));
    }
  },

  "appending again what is there does nothing and answers as the first time": async (trial) => {
    const first = await trial.append("a", ["1", "2"], "absent");
    await trial.append("a", ["3"]);
    const second = await trial.append("a", ["4", "5"], 3);
    for (const expected of ["any", "absent", "exists", 0, 3, 5, 9] as const) {
      same("the first again", await trial.append("a", ["1", "2"], expected, trial.other), first);
      same("the last again", await trial.append("a", ["4", "5"], expected), second);
    }
    same("a part of them again", (await trial.append("a", ["4"])).version, 4);
    same("the stream after it", await trial.ids("a"), ["1", "2", "3", "4", "5"]);
    same("what was appended at all", (await trial.everything()).length, 5);
  },

  "the same append many times at once happens once": async (trial) => {
    const ids = idsOf(3, "e");
    const answers = await Promise.all(
      Array.from(
        { length: 10 },
        (_, at) => trial.append("a", ids, 0, at % 2 === 0 ? trial.events : trial.other),
      ),
    );
    must("all get the same answer", answers.every(({ version }) => version === 3));
    must("all get the same answer", new Set(answers.map(({ position }) => position)).size === 1);
    same("the stream", await trial.ids("a"), ids);
  },

  "an id that is there already is a conflict for everything else": async (trial) => {
    await trial.append("a", idsOf(20, ""));
    const others = [["0", "new"], ["new", "0"], ["1", "0"], ["0", "2"], ["19", "new"], [
      "0",
      "1",
      "2",
      "new",
    ]];
    for (const ids of others) {
      for (const expected of ["any", 20] as const) {
        const { data } = await failing(`${ids}`, "CONFLICT", trial.append("a", ids, expected, trial.other));
        same("the data of the conflict", data, { expected, found: 20 });
      }
    }
    same("the stream after it", await trial.ids("a"), idsOf(20, ""));
    await trial.append("b", ["0", "new"], "absent");
    same("another stream may have the same ids", await trial.ids("b"), ["0", "new"]);
  },

  "what no event store takes is refused, with all that came with it": async (trial) => {
    const { events } = trial;
    const stream = trial.stream("a");
    const good = eventOf("good");
    const bad: readonly Partial<NewEvent>[] = [
      { id: "" },
      { id: "i".repeat(129) },
      { id: "\ud800" },
      { type: "" },
      { type: "t".repeat(257) },
      { type: "\udc00" },
      { data: "d".repeat(262_145) },
      { data: "\ud800" },
      { meta: "m".repeat(16_385) },
      { meta: "\ud800" },
      { id: "good" },
    ];
    for (const part of bad) {
      const work = events.append(stream, [good, { ...eventOf("bad"), ...part }]);
      await failing(`an event with ${JSON.stringify(part).slice(0, 20)}`, "VALIDATION", work);
    }
    await failing("1001 events", "VALIDATION", trial.append("a", idsOf(1001, "")));
    const large = idsOf(17, "").map((id) => ({ ...eventOf(id), data: "d".repeat(262_000) }));
    await failing("too much together", "VALIDATION", events.append(stream, large));
    for (const expected of [-1, 0.5, NaN, Infinity]) {
      await failing(`version ${expected}`, "VALIDATION", trial.append("a", ["1"], expected));
    }
    for (const name of ["", "s".repeat(257), "\ud800"]) {
      await failing("a bad stream", "VALIDATION", events.append(name, [good]));
      await failing("a bad stream", "VALIDATION", events.read(name));
      await failing("a bad stream", "VALIDATION", events.find(name, "1"));
    }
    same("the stream after it", await trial.ids("a"), []);
    same("its last version", (await trial.append("a", idsOf(1000, ""))).version, 1000);
  },
};
