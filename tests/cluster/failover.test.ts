import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  command,
  createMediator,
  handle,
  type Result,
  type SystemCode,
  type,
} from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import {
  Break,
  cluster,
  Count,
  end,
  Hang,
  kindOf,
  type Probe,
  probe,
  tampered,
  Trace,
  until,
  Who,
} from "./support.ts";

/** Lets exchanges of calls with node "b" end like this, before or after they were carried out. */
function failing(code: SystemCode, carriedOut: boolean) {
  const state = { on: false, calls: 0 };
  const backend = tampered(memory(), async (exchange, to, frame, reply, options) => {
    if (!state.on || to.id !== "b" || kindOf(frame) === "beat") return exchange(to, frame, reply, options);
    state.calls++;
    if (carriedOut) await exchange(to, frame, () => {}, options);
    throw new CatgaError({ code, message: "made to fail", data: undefined, retryable: true });
  });
  return { backend, state };
}

async function pair(code: SystemCode, carriedOut: boolean) {
  const { backend, state } = failing(code, carriedOut);
  const client = await joinCluster(createMediator({ handlers: [] }), {
    node: "z",
    endpoint: "memory:z",
    backend,
  });
  const probes = [await probe("a", backend), await probe("b", backend)];
  await until(() => client.members().filter((member) => member.status === "ready").length === 3);
  state.on = true;
  return { client, probes, state };
}

function codes(results: readonly Result<unknown, { code: string } & CatgaErrorShape>[]): string[] {
  return results.map((result) => result.ok ? "ok" : result.error.code);
}
type CatgaErrorShape = { message: string; data: unknown; retryable: boolean };

describe("failover goes by failure class", () => {
  test("a refused connection moves any call to another node at once", async () => {
    const { client, probes } = await pair("UNAVAILABLE", false);
    const results = await client.sendAll(Array.from({ length: 10 }, () => Break("none")));
    expect(codes(results)).toEqual(Array.from({ length: 10 }, () => "ok"));
    expect(probes[1]!.handled()).toBe(0);
    expect(client.stats().failovers).toBeGreaterThan(0);
    await client.leave();
    await end(probes);
  });

  test("a broken connection moves queries, which may run twice without harm", async () => {
    const { client, probes } = await pair("TRANSPORT", true);
    const results = await client.sendAll(Array.from({ length: 10 }, () => Who({})));
    expect(codes(results)).toEqual(Array.from({ length: 10 }, () => "ok"));
    await client.leave();
    await end(probes);
  });

  test("a broken connection never moves a command that is not idempotent", async () => {
    const { client, probes } = await pair("TRANSPORT", true);
    const results = await client.sendAll(Array.from({ length: 10 }, () => Break("none")));
    expect(codes(results).filter((code) => code === "ok")).toHaveLength(5);
    expect(codes(results).filter((code) => code === "TRANSPORT")).toHaveLength(5);
    expect(probes[0]!.handled() + probes[1]!.handled()).toBe(10);
    await client.leave();
    await end(probes);
  });

  test("what a handler answered is final, failures included, and its exceptions stay there", async () => {
    const probes = await cluster(["a", "b"]);
    for (let n = 0; n < 2; n++) {
      const failed = await probes[0]!.node.send(Break("fail"));
      expect(failed.ok ? {} : failed.error).toMatchObject({
        code: "BROKEN",
        data: { node: n === 0 ? "a" : "b" },
      });
    }
    for (const how of ["throw", "throw text"]) {
      for (let n = 0; n < 2; n++) {
        const thrown = await probes[0]!.node.send(Break(how));
        expect(thrown.ok ? "" : thrown.error.code).toBe("INTERNAL");
        expect(thrown.ok ? "" : thrown.error.message).not.toContain("secret");
      }
    }
    expect(probes[0]!.handled() + probes[1]!.handled()).toBe(6);
    expect(probes[1]!.log.filter((entry) => entry.event === "handler.failed")).toHaveLength(2);
    await end(probes);
  });

  test("one answer or body that cannot be encoded does not take its frame with it", async () => {
    const { backend } = failing("TRANSPORT", false);
    const client = await joinCluster(createMediator({ handlers: [] }), {
      node: "z",
      endpoint: "memory:z",
      backend,
    });
    const server = await probe("a", backend);
    await until(() => client.members().filter((member) => member.status === "ready").length === 2);
    const answers = await client.sendAll([Who({}), Break("bigint"), Who({}), Break("none")]);
    expect(codes(answers)).toEqual(["ok", "SERIALIZATION", "ok", "ok"]);
    const circular: { n?: number; self?: unknown } = {};
    circular.self = circular;
    const bodies = await client.sendAll([Who({}), Who(circular), Who({ n: 5n as never }), Who({})]);
    expect(codes(bodies)).toEqual(["ok", "SERIALIZATION", "SERIALIZATION", "ok"]);
    await client.leave();
    await end([server]);
  });

  test("a node that left or died gets nothing more; its calls in flight end typed", async () => {
    const backend = memory();
    let silent = false;
    const dying = tampered(
      backend,
      (exchange, to, frame, reply, options) =>
        silent ? new Promise(() => {}) : exchange(to, frame, reply, options),
    );
    const a = await probe(
      "a",
      tampered(
        backend,
        (exchange, to, frame, reply, options) =>
          silent && to.id === "b" ? new Promise(() => {}) : exchange(to, frame, reply, options),
      ),
    );
    const b = await probe("b", dying);
    await until(() => a.node.members().filter((member) => member.status === "ready").length === 2);
    const inFlight = [a.node.send(Hang(), { timeout: 2000 }), a.node.send(Hang(), { timeout: 2000 })];
    silent = true;
    await until(() => a.node.members().length === 1);
    const ended = await Promise.race(inFlight);
    expect(ended.ok ? "" : ended.error.code).toBe("TRANSPORT");
    for (let n = 0; n < 4; n++) expect(await a.node.send(Who({}))).toMatchObject({ ok: true, value: "a" });
    silent = false;
    await until(() => a.node.members().length === 2);
    await end([a, b]);
  });
});

describe("deadlines and cancellation cross nodes", () => {
  async function remote(): Promise<{ client: Probe; server: Probe }> {
    const backend = memory();
    const client = await probe("a", backend, { router: (_call, all) => all.find((node) => !node.local) });
    const server = await probe("b", backend);
    await until(() => client.node.members().some((member) => member.id === "b" && member.status === "ready"));
    return { client, server };
  }

  test("a call that is given up is cancelled where it runs", async () => {
    const { client, server } = await remote();
    const controller = new AbortController();
    const call = client.node.send(Hang(), { signal: controller.signal });
    await until(() => server.node.stats().inFlight === 1);
    controller.abort();
    const result = await call;
    expect(result.ok ? "" : result.error.code).toBe("CANCELLED");
    await until(() => server.aborted() === 1 && server.node.stats().inFlight === 0);
    const late = await client.node.send(Hang(), { signal: controller.signal });
    expect(late.ok ? "" : late.error.code).toBe("CANCELLED");
    await end([client, server]);
  });

  test("one of several calls of a frame is cancelled alone", async () => {
    const { client, server } = await remote();
    const controller = new AbortController();
    const calls = [
      client.node.send(Hang(), { signal: controller.signal }),
      client.node.send(Hang(), { timeout: 300 }),
    ];
    await until(() => server.node.stats().inFlight === 2);
    controller.abort();
    await calls[0];
    await until(() => server.aborted() === 1);
    expect(server.node.stats().inFlight).toBe(1);
    const other = await calls[1]!;
    expect(other.ok ? "" : other.error.code).toBe("TIMEOUT");
    await until(() => server.aborted() === 2 && server.node.stats().inFlight === 0);
    await end([client, server]);
  });

  test("a deadline ends the call at the caller and where it runs", async () => {
    const { client, server } = await remote();
    const result = await client.node.send(Hang(), { timeout: 50 });
    expect(result.ok ? "" : result.error.code).toBe("TIMEOUT");
    await until(() => server.aborted() === 1 && server.node.stats().inFlight === 0);
    await end([client, server]);
  });

  test("a stream ends at its deadline and when its signal aborts", async () => {
    const { client, server } = await remote();
    const Slow = Count;
    const controller = new AbortController();
    const seen: number[] = [];
    const failed = await (async () => {
      for await (const n of client.node.stream(Slow({ to: 1e9 }), { signal: controller.signal })) {
        seen.push(n);
        if (n === 50) controller.abort();
      }
    })().catch((thrown) => thrown);
    expect(failed).toMatchObject({ code: "CANCELLED" });
    await until(() => server.node.stats().inFlight === 0);
    await end([client, server]);
  });
});

describe("leaving", () => {
  test("calls in flight are finished, later ones go elsewhere, and leaving twice is one leave", async () => {
    const backend = memory();
    const Slow = command("slow", { input: type<void>(), output: type<string>() });
    const join = (name: string) =>
      joinCluster(
        createMediator({
          handlers: [
            handle(Slow, () => new Promise<string>((resolve) => setTimeout(() => resolve(name), 100))),
          ],
        }),
        { node: name, endpoint: `memory:${name}`, backend, timing: { heartbeat: 40, timeout: 200 } },
      );
    const [a, b] = [await join("a"), await join("b")];
    await until(() => a.members().filter((member) => member.status === "ready").length === 2);
    const calls = a.sendAll(Array.from({ length: 10 }, () => Slow()));
    await until(() => b.stats().inFlight === 5);
    const leaving = b.leave();
    expect(b.leave()).toBe(leaving);
    await until(() => a.members().every((member) => member.id !== "b" || member.status === "draining"));
    const later = await a.sendAll(Array.from({ length: 4 }, () => Slow()));
    expect(later.map((result) => result.ok && result.value)).toEqual(["a", "a", "a", "a"]);
    expect((await calls).map((result) => result.ok)).toEqual(Array.from({ length: 10 }, () => true));
    await leaving;
    expect(a.members().map((member) => member.id)).toEqual(["a"]);
    const closed = await b.send(Slow());
    expect(closed.ok ? "" : closed.error.code).toBe("UNAVAILABLE");
    await a.leave();
  });
});

test("a call that was refused and waits for its next try does not keep others of its frame from their end", async () => {
  let frames = 0;
  const broken = tampered(memory(), async (exchange, to, frame, reply, options) => {
    if (kindOf(frame) !== "call" || frames++ > 0) return exchange(to, frame, reply, options);
    const [version, kind, , , seq] = JSON.parse(String(frame)) as unknown[];
    const refused = [0, 2, "UNAVAILABLE", "not now", 1];
    await reply(JSON.stringify([version, kind, to.id, 0, seq, [refused]]));
    throw new CatgaError({ code: "TRANSPORT", message: "cut", data: undefined, retryable: true });
  });
  const caller = await joinCluster(createMediator({ handlers: [] }), {
    node: "a",
    endpoint: "memory:a",
    backend: broken,
    timing: { heartbeat: 40, timeout: 200 },
  });
  const server = await probe("b", broken);
  await until(() => caller.members().length === 2);
  const results = await Promise.all([caller.send(Trace()), caller.send(Trace())]);
  expect(results.map((result) => result.ok || result.error.code)).toEqual([true, "TRANSPORT"]);
  await caller.leave();
  await end([server]);
});
