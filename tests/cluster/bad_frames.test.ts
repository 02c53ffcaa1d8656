import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createMediator } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import { type BackendParts, systemRuntime } from "@catga/catga/ports";
import { end, type Probe, probe, Who } from "./support.ts";

/** A node, and a stranger on the same hub who may say anything to it. */
async function victim(): Promise<
  { a: Probe; say: (frame: string) => Promise<string[] | string>; stranger: BackendParts }
> {
  const backend = memory();
  const a = await probe("a", backend);
  const stranger = backend.open({ self: { id: "x", endpoint: "memory:x" }, runtime: systemRuntime() });
  const say = async (frame: string): Promise<string[] | string> => {
    const replies: string[] = [];
    try {
      await stranger.transport.exchange(a.node, frame, (reply) => void replies.push(String(reply)));
      return replies;
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
  };
  return { a, say, stranger };
}

const call = (seq: number, items: readonly unknown[] = [["who", 0, 1000, {}]]) =>
  JSON.stringify([1, "call", "x", 1, seq, items]);

describe("frames from a stranger", () => {
  test("a frame that comes twice is answered once", async () => {
    const { a, say } = await victim();
    expect(await say(call(1))).toHaveLength(1);
    expect(await say(call(1))).toBe("TRANSPORT");
    expect(await say(call(2))).toHaveLength(1);
    expect(await say(call(1))).toBe("TRANSPORT");
    expect(a.handled()).toBe(2);
    await end([a]);
  });

  test.each([
    ["not JSON", "{"],
    ["no envelope", "{}"],
    ["another version", JSON.stringify([2, "call", "x", 1, 1, []])],
    ["an unknown kind", JSON.stringify([1, "shutdown", "x", 1, 1, []])],
    ["a malformed message", call(1, [["who"]])],
    ["messages that are none", call(1, [null, 5, "x"])],
    [
      "a body nested too deep",
      call(1, [["who", 0, 1000, 0]]).replace("1000,0", `1000,${"[".repeat(1000)}${"]".repeat(1000)}`),
    ],
    ["a body that reaches a prototype", call(1).replace("{}", '{"__proto__":{"admin":true}}')],
    ["a stream of nothing", JSON.stringify([1, "stream", "x", 1, 1, []])],
    ["a stream of nonsense", JSON.stringify([1, "stream", "x", 1, 1, [null]])],
    ["an empty frame", call(1, [])],
  ])("%s is refused, counted and logged, and the node goes on", async (_name, frame) => {
    const { a, say } = await victim();
    expect(typeof await say(frame)).toBe("string");
    expect(a.node.stats().refused).toBe(1);
    expect(a.log.filter((entry) => entry.event === "frame.refused")).toHaveLength(1);
    expect(await say(call(99))).toHaveLength(1);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    await end([a]);
  });

  test("a deadline that has passed starts nothing", async () => {
    const { a, say } = await victim();
    const [reply] = await say(call(1, [["who", 0, 0, {}], ["who", 0, -5, {}]])) as string[];
    expect(reply).toContain("TIMEOUT");
    expect(a.handled()).toBe(0);
    await end([a]);
  });

  test("names of prototypes are no handlers", async () => {
    const { a, say } = await victim();
    for (const [at, name] of ["constructor", "toString", "__proto__", "hasOwnProperty"].entries()) {
      expect((await say(call(at, [[name, 0, 1000, {}]])) as string[])[0]).toContain("NO_HANDLER");
    }
    await end([a]);
  });

  test("random frames never bring it down", async () => {
    const { a, say } = await victim();
    const kind = fc.constantFrom("call", "stream", "notice", "cancel", "beat", "x");
    const shaped = fc.tuple(fc.constantFrom(1, 2), kind, fc.string(), fc.nat(), fc.nat(), fc.jsonValue())
      .map((parts) => JSON.stringify(parts));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json(), shaped), async (frame) => void await say(frame)),
      { numRuns: 500 },
    );
    expect(await a.node.send(Who({}))).toMatchObject({ ok: true });
    await end([a]);
  });
});

describe("options that cannot work are refused by name", () => {
  const app = createMediator({ handlers: [] });
  const join = (options: object) =>
    joinCluster(app, { node: "a", endpoint: "memory:a", backend: memory(), ...options }).then(
      () => "joined",
      (thrown) => String(thrown.message),
    );

  test("a node's name, its timing, a foreign mediator", async () => {
    expect(await join({ node: "a b" })).toContain('"a b"');
    expect(await join({ timing: { heartbeat: 100, timeout: 150 } })).toContain("twice the heartbeat");
    expect(
      await joinCluster({ ...app } as never, { node: "a", endpoint: "memory:a", backend: memory() })
        .catch((thrown) => String(thrown.message)),
    ).toContain("createMediator");
  });
});

test("a node that cannot listen gives its backend back", async () => {
  const backend = memory();
  const first = await probe("a", backend);
  const app = createMediator({ handlers: [] });
  const again = () => joinCluster(app, { node: "a", endpoint: "memory:a", backend });
  expect(await again().then(() => "joined", (thrown) => thrown.code)).toBe("CONFLICT");
  await end([first]);
  await (await again()).leave();
});
