/** Questions and acknowledgements on their way, on a connection that only writes down what it is given. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import type { Clock } from "@catga/catga/ports";
import { Acks } from "../../adapters/nats/acks.ts";
import { Asks } from "../../adapters/nats/asks.ts";
import type { Link } from "../../adapters/nats/link.ts";
import { DoneItems } from "../../adapters/nats/queue_done.ts";
import { readHandOut } from "../../adapters/nats/queue_held.ts";
import { PushRound } from "../../adapters/nats/queue_push_round.ts";
import { failed } from "./support.ts";

/** A clock that stands still until it is moved, and how many timers it has been given. */
function stillClock(): Clock & { pass(ms: number): void; readonly begun: number; readonly left: number } {
  let now = 0;
  let begun = 0;
  const timers = new Set<{ readonly time: number; readonly run: () => void }>();
  return {
    mono: () => now,
    wall: () => now,
    timer: (ms, run) => {
      const timer = { time: now + ms, run };
      begun++;
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    pass: (ms) => {
      for (const end = now + ms;;) {
        const [next] = [...timers].sort((a, b) => a.time - b.time);
        if (next === undefined || next.time > end) return void (now = end);
        now = next.time;
        timers.delete(next);
        next.run();
      }
    },
    get begun() {
      return begun;
    },
    get left() {
      return timers.size;
    },
  };
}

interface Wire {
  readonly connection: never;
  /** Subjects of what was published, and `PING` for each round trip. */
  readonly said: string[];
  answer(reply: string): void;
  readonly replies: string[];
  pong(): void;
}

function wireOf(): Wire {
  const [said, replies]: string[][] = [[], []];
  const pongs: (() => void)[] = [];
  let hear: (error: null, message: unknown) => void = () => {};
  const connection = {
    publish: (subject: string, _payload: unknown, options?: { readonly reply?: string }) => {
      said!.push(subject);
      if (options?.reply !== undefined) replies!.push(options.reply);
    },
    subscribe: (_subject: string, options: { readonly callback: typeof hear }) => {
      hear = options.callback;
      return { unsubscribe: () => {} };
    },
    flush: () => {
      said!.push("PING");
      return new Promise<void>((resolve) => pongs.push(resolve));
    },
  };
  return {
    connection: connection as never,
    said: said!,
    replies: replies!,
    answer: (subject) => hear(null, { subject, data: new Uint8Array(1), headers: undefined }),
    pong: () => pongs.shift()!(),
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

describe("questions", () => {
  const asksOn = (wire: Wire, clock: Clock): Asks => new Asks(wire.connection, clock, "in", () => true);

  test("each fails when its own time is over, whichever was asked first", async () => {
    const [wire, clock] = [wireOf(), stillClock()];
    const asks = asksOn(wire, clock);
    const ended: string[] = [];
    const ask = (name: string, timeout: number) =>
      void failed(asks.ask(name, "", { timeout })).then((code) => ended.push(`${name} ${String(code)}`));
    ask("slow", 5000);
    ask("fast", 20);
    ask("middle", 1000);
    clock.pass(19);
    await turn();
    expect(ended).toEqual([]);
    clock.pass(1);
    await turn();
    expect(ended).toEqual(["fast TRANSPORT"]);
    ask("late", 30);
    clock.pass(30);
    await turn();
    expect(ended).toEqual(["fast TRANSPORT", "late TRANSPORT"]);
    clock.pass(4950);
    await turn();
    expect(ended.slice(2)).toEqual(["middle TRANSPORT", "slow TRANSPORT"]);
  });

  test("a thousand that are answered begin one timer", async () => {
    const [wire, clock] = [wireOf(), stillClock()];
    const asks = asksOn(wire, clock);
    for (let at = 0; at < 1000; at++) {
      const asked = asks.ask("x");
      wire.answer(wire.replies.at(-1)!);
      await asked;
      clock.pass(1);
    }
    expect(clock.begun).toBe(1);
    const silent = failed(asks.ask("y", "", { timeout: 10_000 }));
    clock.pass(9999);
    expect(await Promise.race([silent, turn().then(() => "waits")])).toBe("waits");
    clock.pass(1);
    expect(await silent).toBe("TRANSPORT");
  });

  test("one that is asked by a failure has its own time too", () => {
    const [wire, clock] = [wireOf(), stillClock()];
    const asks = asksOn(wire, clock);
    const codes: string[] = [];
    const again = { answered: () => {}, failed: (error: CatgaError) => void codes.push(error.code) };
    const first = { ...again, failed: () => asks.askFor(again, "again", "", { timeout: 50 }) };
    asks.askFor(first, "x", "", { timeout: 10 });
    clock.pass(10);
    asks.askFor({ ...first }, "x");
    asks.lose();
    clock.pass(49);
    expect(codes).toEqual(["TRANSPORT"]);
    clock.pass(1);
    expect(codes).toEqual(["TRANSPORT", "TRANSPORT"]);
    expect(clock.left).toBe(0);
    asks.askFor(again, "z");
    asks.lose();
    expect([codes.length, clock.left]).toEqual([3, 0]);
  });
});

describe("acknowledgements", () => {
  const bytes = new Uint8Array(1);
  const acksOn = (wire: Wire, clock: Clock = stillClock()): Acks =>
    new Acks({ connection: wire.connection, runtime: { clock }, up: true } as unknown as Link);

  test("those of a turn are settled by one round trip, which comes behind all of them", async () => {
    const wire = wireOf();
    const acks = acksOn(wire);
    const sent = ["a", "b", "c"].map((subject) => acks.send(subject, bytes));
    await turn();
    expect(wire.said).toEqual(["a", "b", "c", "PING"]);
    wire.pong();
    await Promise.all(sent);
  });

  test("many are settled in parts; with four on their way the others wait for one of them", async () => {
    const wire = wireOf();
    const acks = acksOn(wire);
    const sent = Array.from({ length: 200 }, (_, at) => acks.send(`${at}`, bytes));
    await turn();
    const pings = (): number[] => wire.said.flatMap((said, at) => said === "PING" ? [at] : []);
    expect(pings()).toEqual([64, 129, 194, 203]);
    const more = acks.send("more", bytes);
    await turn();
    expect(pings().length).toBe(4);
    wire.pong();
    await sent[63];
    await turn();
    expect(wire.said.slice(-2)).toEqual(["more", "PING"]);
    for (let at = 0; at < 4; at++) wire.pong();
    await Promise.all([...sent, more]);
  });

  test("a round trip that takes too long fails, and no other with it", async () => {
    const [wire, clock] = [wireOf(), stillClock()];
    const acks = acksOn(wire, clock);
    const first = failed(acks.send("a", bytes));
    await turn();
    clock.pass(3000);
    expect(await first).toBe("TRANSPORT");
    const second = acks.send("b", bytes);
    await turn();
    wire.pong();
    wire.pong();
    await second;
  });

  test("one that could not be sent leaves nothing behind that others wait for", async () => {
    const wire = wireOf();
    const link = { connection: wire.connection, runtime: { clock: stillClock() }, up: false };
    const acks = new Acks(link as unknown as Link);
    expect(await failed(acks.send("a", bytes))).toBe("UNAVAILABLE");
    await turn();
    link.up = true;
    const sent = acks.send("b", bytes);
    await turn();
    wire.pong();
    await sent;
  });
});

describe("what was done with", () => {
  test("the last 32,768 are known, and no more than twice as many", () => {
    const done = new DoneItems();
    for (let at = 0; at < 100_000; at++) {
      done.add(at, `${at}`);
      if (at % 7000 === 0 && at >= 32_767) expect(done.has(at - 32_767)).toBe(true);
    }
    expect(done.has(100_000 - 65_537)).toBe(false);
    expect([...done.subjects()].at(-1)).toBe("99999");
  });

  test("where an item is acknowledged is read in all forms that servers have", () => {
    const read = { times: 2, sequence: 3, count: 4, stored: 5 };
    expect(readHandOut("$JS.ACK.stream.consumer.2.3.4.5000000.6")).toEqual(read);
    expect(readHandOut("$JS.ACK.domain.account.stream.consumer.2.3.4.5000000.6")).toEqual(read);
    expect(readHandOut("$JS.ACK.domain.account.stream.consumer.2.3.4.5000000.6.token")).toEqual(read);
    for (
      const odd of [undefined, "", "$JS.ACK.", "$JS.ACK.a.b.1.2.3", "$JS.ACK.a.b.x.2.3.4.5", "a.b.1.2.3.4.5"]
    ) {
      expect(readHandOut(odd)).toBe(undefined);
    }
  });
});

describe("a push", () => {
  const kept = '{"stream":"S_1", "seq":7}';
  const full =
    '{"error":{"code":400,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S_1","seq":0}';
  const lost = new CatgaError(systemFault("TRANSPORT", "no answer"));

  /** What becomes of a push of so many when they are answered so. */
  function outcomeOf(...answers: readonly (string | CatgaError)[]): string {
    let outcome = "open";
    const items = answers.map((_, at) => ({ id: `${at}`, payload: "" }));
    const push = { topic: "t", token: "t", items, bodies: [], signal: undefined };
    const round = new PushRound(
      { lost: () => {} },
      "S_1",
      push,
      () => outcome = "ok",
      ({ code }) => outcome = code,
    );
    for (const answer of answers) {
      expect(outcome).toBe("open");
      if (typeof answer !== "string") round.failed(answer);
      else round.answered({ data: new TextEncoder().encode(answer) } as never);
    }
    return outcome;
  }

  test("is kept when all of it is, and says what it does not know", () => {
    expect(outcomeOf(kept)).toBe("ok");
    expect(outcomeOf(kept, '{"stream":"S_1","seq":8,"duplicate":true}', kept)).toBe("ok");
    expect(outcomeOf('{"stream":"S_1","domain":"d","seq":8}')).toBe("ok");
    expect(outcomeOf('{"domain":"d","stream":"S_1","seq":8}')).toBe("ok");
    expect(outcomeOf(full)).toBe("OVERLOADED");
    expect(outcomeOf(lost)).toBe("TRANSPORT");
    expect(outcomeOf(full, full)).toBe("OVERLOADED");
    expect(outcomeOf(kept, full)).toBe("TRANSPORT");
    expect(outcomeOf(full, lost)).toBe("TRANSPORT");
    for (const odd of ["", "{", '{"stream":"S_2"}', '{"stream":"S_1', '{"stream":"S_12","seq":0}']) {
      expect(outcomeOf(odd)).not.toBe("ok");
    }
  });
});
