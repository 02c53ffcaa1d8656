/** What servers can do: by what they say, and by what this one really keeps. */

import { describe, expect, test } from "bun:test";
import { type Capabilities, capabilitiesOf, droppedSettings } from "../../adapters/nats/capabilities.ts";
import { startNats } from "./server.ts";
import { openLink, type TestLink } from "./support.ts";

describe("capabilities", () => {
  test.each(
    [
      ["2.8.4", []],
      ["2.9.10", ["directGet"]],
      ["2.9.29", ["directGet"]],
      ["2.10.18", ["directGet", "filterSubjects", "metadata", "termReason"]],
      ["2.10.19", ["directGet", "filterSubjects", "metadata", "replicatedCas", "termReason"]],
      ["2.10.27", ["directGet", "filterSubjects", "metadata", "replicatedCas", "termReason"]],
      ["v2.11.0-preview.2", [
        "batchGet",
        "consumerPause",
        "directGet",
        "filterSubjects",
        "messageTtl",
        "metadata",
        "replicatedCas",
        "termReason",
      ]],
      ["2.15.1", "all"],
      ["3.0.0", "all"],
      ["", []],
      ["unknown", []],
    ] as const,
  )("of %j", (version, wanted) => {
    const can = capabilitiesOf(version);
    const names = Object.keys(can).filter((name) => name !== "version").sort();
    expect(names.filter((name) => can[name as keyof Capabilities])).toEqual(
      wanted === "all" ? names : [...wanted],
    );
    expect(can.version).toBe(version);
  });
});

describe("settings that a server dropped", () => {
  test.each(
    [
      [{ a: 1, b: [1, { c: 2 }] }, { a: 1, b: [1, { c: 2, more: 1 }], more: 2 }, []],
      [{ a: 1 }, {}, ["a"]],
      [{ a: true, b: 0, c: false, d: "" }, {}, ["a"]],
      [{ a: { b: 1 } }, { a: { b: 2 } }, ["a"]],
      [{ a: { b: 1 } }, { a: undefined }, ["a"]],
      [{ a: [1, 2] }, { a: [1] }, ["a"]],
      [{ a: ["x"] }, { a: "x" }, ["a"]],
      [{ a: 0 }, { a: null }, ["a"]],
    ] as const,
  )("%j, %j", (wanted, kept, dropped) => {
    expect(droppedSettings(wanted, kept)).toEqual([...dropped]);
  });
});

/** Asks for a stream, and answers whether the server says that it has all of these settings, or did not do as told. */
async function keeps(link: TestLink, settings: object): Promise<boolean> {
  const name = "PROBE";
  const request = { name, subjects: ["probe.>"], storage: "memory", num_replicas: 1, ...settings };
  const answer = await link.ask(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify(request));
  const { config } = answer.json<{ config?: object }>();
  if (config !== undefined) await link.ask(`$JS.API.STREAM.DELETE.${name}`);
  return config !== undefined && droppedSettings(settings, config).length === 0;
}

test("this server keeps what its version promises, and drops the rest", async () => {
  await using server = await startNats();
  await using link = await openLink(server.ws);
  const version = link.connection.info!.version;
  const { directGet, metadata, messageTtl, atomicBatch, schedules } = capabilitiesOf(version);
  const found = {
    directGet: await keeps(link, { allow_direct: true }),
    metadata: await keeps(link, { metadata: { a: "b" } }),
    messageTtl: await keeps(link, { allow_msg_ttl: true }),
    atomicBatch: await keeps(link, { allow_atomic: true }),
    schedules: await keeps(link, { allow_msg_schedules: true }),
  };
  expect({ version, ...found }).toEqual({ version, directGet, metadata, messageTtl, atomicBatch, schedules });
  expect(found.directGet).toBe(true);
});

test("its consumers take a list of filters, pause, and its messages come in batches, where its version promises", async () => {
  await using server = await startNats();
  await using link = await openLink(server.ws);
  const can = capabilitiesOf(link.connection.info!.version);
  const stream = {
    name: "PROBE",
    subjects: ["probe.>"],
    storage: "memory",
    num_replicas: 1,
    allow_direct: true,
  };
  await link.ask("$JS.API.STREAM.CREATE.PROBE", JSON.stringify(stream));
  for (const at of ["a", "b", "c"]) await link.ask(`probe.${at}`, at);
  const consumer = async (config: object): Promise<object> => {
    const request = {
      stream_name: "PROBE",
      config: { ack_policy: "explicit", mem_storage: true, ...config },
    };
    const answer = await link.ask("$JS.API.CONSUMER.CREATE.PROBE", JSON.stringify(request));
    return answer.json<{ config?: object }>().config ?? {};
  };
  const filter_subjects = ["probe.a", "probe.b"];
  expect(droppedSettings({ filter_subjects }, await consumer({ filter_subjects })).length === 0).toBe(
    can.filterSubjects,
  );
  const pause_until = "2100-01-01T00:00:00Z";
  expect(droppedSettings({ pause_until }, await consumer({ pause_until })).length === 0).toBe(
    can.consumerPause,
  );
  const batch = await batchOf(link, { seq: 1, batch: 3 });
  expect(batch).toBe(can.batchGet ? 3 : 1);
});

/** How many messages come for one direct request. */
async function batchOf(link: TestLink, request: object): Promise<number> {
  const { connection, runtime } = link;
  let count = 0;
  const inbox = `probe-inbox.${runtime.random.u32()}`;
  const subscription = connection.subscribe(inbox, {
    callback: (_error, { headers }) => void (headers?.code === 0 && count++),
  });
  connection.publish("$JS.API.DIRECT.GET.PROBE", JSON.stringify(request), { reply: inbox });
  await link.ask("$JS.API.INFO");
  await connection.flush();
  await new Promise<void>((resolve) => void runtime.clock.timer(200, resolve));
  subscription.unsubscribe();
  return count;
}
