import { describe, expect, test } from "bun:test";
import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate } from "@catga/catga/testing";
import { Admission, type Entrant } from "../../src/cluster/admission.ts";
import { drain } from "../simulation/drain.ts";

function entrant(name: string, deadline: number, log: string[]): Entrant {
  return {
    deadline,
    begin: () => void log.push(`${name} begins`),
    turnAway: () => void log.push(`${name} refused`),
  };
}

describe("admission", () => {
  test("lets in so many, keeps so many waiting, and refuses the one with the least time left", () => {
    const log: string[] = [];
    const admission = new Admission({ concurrency: 1, queue: 2 });
    for (const [name, deadline] of [["a", 100], ["b", 300], ["c", 200], ["d", 400], ["e", 150]] as const) {
      admission.enter(entrant(name, deadline, log));
    }
    expect(log.splice(0)).toEqual(["a begins", "c refused", "e refused"]);
    for (let times = 0; times < 3; times++) admission.leave();
    admission.enter(entrant("f", 1, log));
    expect(log).toEqual(["b begins", "d begins", "f begins"]);
  });

  test("one that gave up while it waited does not begin, and leaves its place", () => {
    const log: string[] = [];
    const admission = new Admission({ concurrency: 1, queue: 1 });
    const [a, b, c] = ["a", "b", "c"].map((name) => entrant(name, 100, log));
    admission.enter(a!);
    admission.enter(b!);
    admission.forget(b!);
    expect(admission.waiting).toBe(0);
    admission.enter(c!);
    admission.leave();
    expect(log).toEqual(["a begins", "c begins"]);
  });

  test.each([[0, 1], [NaN, 1], [1, -1]])("refuses a capacity of %p and %p", (concurrency, queue) => {
    expect(() => new Admission({ concurrency, queue })).toThrow(RangeError);
  });
});

/** Answers in time within ten seconds, when so many calls a second are made of a node that can take 400. */
async function goodput(rate: number): Promise<{ ok: number; codes: ReadonlySet<string> }> {
  const Work = command("work", { input: type<void>(), output: type<void>(), timeout: 200 });
  let ok = 0;
  const codes = new Set<string>();
  await simulate({ seed: 1, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
    const { backend } = simulation.network();
    const nodes: Node[] = [];
    const join = (name: string, serves: boolean): void => {
      const runtime = simulation.runtime(name);
      // Four at a time, 10 ms each: as a pool of connections would.
      const busy: (() => void)[] = [];
      let working = 0;
      const work = (): Promise<void> =>
        new Promise((resolve) => {
          const go = (): void => {
            working++;
            runtime.clock.timer(10, () => {
              working--;
              busy.shift()?.();
              resolve();
            });
          };
          if (working < 4) go();
          else busy.push(go);
        });
      const app = createMediator({ runtime, handlers: serves ? [handle(Work, work)] : [] });
      const capacity = { concurrency: 4, queue: 8 };
      const options = { node: name, endpoint: `sim:${name}`, backend, timing: "fast" as const, attempts: 1 };
      void joinCluster(app, serves ? { ...options, capacity } : options).then((node) => nodes.push(node));
    };
    join("caller", false);
    join("worker", true);
    await simulation.until(() => nodes.length === 2, 2000);
    await simulation.run(500);
    const caller = nodes.find((node) => node.id === "caller")!;
    const runtime = simulation.runtime("caller");
    const end = runtime.clock.mono() + 10_000;
    const tick = (): void => {
      for (let n = 0; n < rate / 100; n++) {
        void caller.send(Work()).then((result) => {
          if (result.ok) ok++;
          else codes.add(result.error.code);
        });
      }
      if (runtime.clock.mono() < end) runtime.clock.timer(10, tick);
    };
    tick();
    await simulation.run(12_000);
  });
  return { ok, codes };
}

test(
  "at ten times the load a node can take it still does 80 % of the work, and says so to the rest",
  async () => {
    const peak = await goodput(400);
    const flood = await goodput(4000);
    expect(peak.ok).toBeGreaterThan(3000);
    expect(flood.ok).toBeGreaterThan(0.8 * peak.ok);
    expect([...flood.codes]).toEqual(["OVERLOADED"]);
  },
  60_000,
);
