import { expect, test } from "bun:test";
import { command, createMediator, handle, query, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import { kindOf, tampered, until } from "./support.ts";

const Get = query("get", { input: type<void>(), output: type<number>(), cache: { ttl: 60_000 } });
const Set_ = command("set", { input: type<number>(), output: type<void>(), invalidates: [Get] });

test("a node reads what its own command has written at once, though word of it never comes", async () => {
  const backend = tampered(memory(), async (exchange, to, frame, reply, options) => {
    if (kindOf(frame) !== "notice") await exchange(to, frame, reply, options);
  });
  const timing = { heartbeat: 40, timeout: 1000 };
  let kept = 1;
  const served = createMediator({
    handlers: [handle(Get, () => kept), handle(Set_, (value) => void (kept = value))],
  });
  const server = await joinCluster(served, { node: "b", endpoint: "memory:b", backend, timing });
  const caller = await joinCluster(createMediator({ handlers: [] }), {
    node: "a",
    endpoint: "memory:a",
    backend,
    timing,
  });
  await until(() => caller.members().length === 2);
  expect(await caller.send(Get())).toMatchObject({ ok: true, value: 1 });
  kept = 2;
  expect(await caller.send(Get())).toMatchObject({ ok: true, value: 1 });
  expect(await caller.send(Set_(3))).toMatchObject({ ok: true });
  expect(await caller.send(Get())).toMatchObject({ ok: true, value: 3 });
  await Promise.all([caller.leave(), server.leave()]);
});
