// What is measured of queues and brokers; as plan.mjs. `broker` says which server a candidate gets, if any.
const QUEUES = [
  "catga, power",
  "catga, process",
  "catga events, power",
  "catga events, process",
  "raw SQLite, power",
  "raw SQLite, process",
  "BullMQ",
  "raw Redis",
];
const JOBS = ["push 1", "push 64", "push batches of 100", "take 1", "take 64"];

const NATS_PEERS = ["moleculer", "@nestjs/microservices"];

const perSecond = (ours, other, more) => ({ of: "perSecond", ours, other, ...more });

export const brokerRows = {
  queue: {
    title: "A queue of jobs, put in and taken, in a SQLite file and in Redis",
    kind: "figures",
    script: "rows/queue.ts",
    rounds: 3,
    rates: ["perSecond"],
    figures: { perSecond: "a second", cpu: "CPU µs each, the server's too" },
    broker: (candidate) => /BullMQ|Redis/.test(candidate) ? "redis" : undefined,
    candidates: JOBS.flatMap((what) => QUEUES.map((who) => `${what}: ${who}`)),
    compare: JOBS.flatMap((what) => {
      const of = (ours, other, more) => perSecond(`${what}: ${ours}`, `${what}: ${other}`, more);
      const half = what.startsWith("push") ? { want: 0.5 } : {};
      return [
        of("catga, process", "BullMQ", { peer: true }),
        of("catga events, process", "BullMQ", { peer: true }),
        { ...of("catga, process", "BullMQ"), of: "cpu" },
        { ...of("catga events, process", "BullMQ"), of: "cpu" },
        of("catga, power", "BullMQ"),
        of("catga events, power", "BullMQ"),
        of("catga, process", "raw SQLite, process", half),
        of("catga, power", "raw SQLite, power", half),
        of("catga events, process", "raw SQLite, process", half),
        of("catga events, power", "raw SQLite, power", half),
        of("BullMQ", "raw Redis"),
      ];
    }),
    notes: [
      "Push: one after the other, 64 in flight, or 100 by one call. Take: from the start until the last of many is acknowledged, 1 or 64 in hands, a handler that does nothing, an acknowledgement each.",
      "What survives: Redis 7.0 with its log written at once and synced every second, so what was answered outlasts the end of a process, unless its disk is busy for so long that it lets writes wait, but the last second or two not a power cut; `process` in SQLite is the like of it, `power` waits for the disk before each answer.",
      "BullMQ and raw Redis: over TCP by ioredis, Redis in a process of its own that may use the second core. SQLite: in the process that asks. BullMQ takes away what is done with, as all but raw Redis do.",
      "catga: the `Queue` port. catga events: `publish` (100 by `publishAll`) of a node, and a node whose handler hears them, with its retries, leases and dead letters, as BullMQ's worker has.",
      "Raw: a table with unique ids by the runtime's own SQLite, a stream with a consumer group (XADD, XREADGROUP, XACK) by ioredis; what others have in flight is one transaction or pipeline there.",
      "180 bytes of JSON a job, written when it is put in and read when it is taken.",
    ],
  },
  nats: {
    title: "Remote send through NATS, between two processes",
    kind: "remote",
    // One at a time comes second: alone it takes seconds until an engine has compiled what it runs.
    levels: [64, 1, 256],
    broker: () => "nats",
    candidates: [
      "catga",
      "catga, its transport alone",
      "limit: frames of a turn",
      "limit: one JSON a turn",
      "own correlation, a message each",
      "nc.request",
      ...NATS_PEERS,
    ],
    compare: [
      { level: 1, latency: true, ours: "catga", other: "own correlation, a message each", want: 1.15 },
      {
        level: 1,
        latency: true,
        ours: "catga, its transport alone",
        other: "own correlation, a message each",
      },
      { level: 64, ours: "catga", other: "nc.request", want: { bun: 3, deno: 6, node: 4 } },
      { level: 64, ours: "catga", other: "limit: frames of a turn", want: 0.8 },
      { level: 64, p99: true, ours: "catga", wantAbsolute: { bun: 6, deno: 6, node: 8 } },
      { level: 256, ours: "catga", other: "nc.request" },
      { level: 256, ours: "catga", other: "limit: frames of a turn" },
      ...NATS_PEERS.map((other) => ({ level: 256, ours: "catga", other, want: 3 })),
      ...[1, 64, 256].flatMap((level) =>
        NATS_PEERS.map((other) => ({ level, ours: "catga", other, peer: true }))
      ),
      ...[64, 256].flatMap((level) => [
        { level, ours: "catga", other: "own correlation, a message each" },
        { level, ours: "catga", other: "limit: one JSON a turn" },
        { level, cpu: true, ours: "catga", other: "limit: frames of a turn" },
      ]),
    ],
    notes: [
      "180 bytes of JSON there, 90 back; closed loop; client, server and nats-server a process each; a wrong answer fails the run. One at a time is measured after 64, when all is compiled.",
      "All on one client library: nats-core over TCP by @nats-io/transport-node, on Deno too (its own transport is only on JSR); moleculer brings the older `nats`. CPU: client + server + nats-server.",
      "Own correlation: one inbox, no timer, no failures. Limits: what meets in a turn shares one message, each call a JSON text with a number, or all of them one JSON array.",
    ],
  },
  natsPublish: {
    title: "Events through NATS, told and kept",
    kind: "figures",
    rates: ["perSecond"],
    figures: {
      perSecond: "a second",
      cpu: "CPU µs each, of all processes",
      ownCpu: "CPU µs each, of the process that tells",
    },
    broker: () => "nats",
    candidates: [
      ...["catga, one by one", "catga, in one turn", "nc.publish", "nc.publish, nobody hears", ...NATS_PEERS]
        .map((name) => `QoS 0: ${name}`),
      ...["catga events", "catga", "js.publish", "own correlation", "own correlation with names"].map((
        name,
      ) => `QoS 1, push 256: ${name}`),
    ],
    compare: [
      perSecond("QoS 0: catga, one by one", "QoS 0: nc.publish", { want: 1 }),
      perSecond("QoS 0: catga, in one turn", "QoS 0: nc.publish", { want: 2 }),
      { of: "ownCpu", ours: "QoS 0: catga, one by one", other: "QoS 0: nc.publish" },
      { of: "ownCpu", ours: "QoS 0: catga, in one turn", other: "QoS 0: nc.publish" },
      ...NATS_PEERS.map((name) => perSecond("QoS 0: catga, one by one", `QoS 0: ${name}`, { peer: true })),
      ...["catga events", "catga"].flatMap((ours) => [
        perSecond(`QoS 1, push 256: ${ours}`, "QoS 1, push 256: js.publish", {
          want: { bun: 2.5, deno: 5, node: 4 },
        }),
        perSecond(`QoS 1, push 256: ${ours}`, "QoS 1, push 256: own correlation"),
        perSecond(`QoS 1, push 256: ${ours}`, "QoS 1, push 256: own correlation with names"),
      ]),
    ],
    notes: [
      "QoS 0: 180 bytes of JSON, until another process has heard all of them, with 4,096 under way at most; 64 told one after the other or in one turn. Nobody hears: what the client library and the server take.",
      "QoS 1: acknowledged by the stream, on disk as nats-server has it by default (synced every two minutes), 256 in flight. catga events: `publish` of a node; catga: the `Queue` port, whose items have names that are known again. Raw messages have none.",
      "Own correlation: one inbox for the acknowledgements, no timer, no headers; with names, what the server keeps to know each item again.",
    ],
  },
  natsConsume: {
    title: "What JetStream keeps, taken with an acknowledgement each",
    kind: "figures",
    script: "rows/nats_jobs.ts",
    effort: { warmup: 2000, ms: 2000 },
    rates: ["perSecond"],
    figures: { perSecond: "a second", cpu: "CPU µs each, of both processes" },
    broker: () => "nats",
    candidates: ["catga events", "catga", "consume()", "consume() confirmed"].map((name) =>
      `take 256: ${name}`
    ),
    compare: ["catga events", "catga"].flatMap((name) => [
      perSecond(`take 256: ${name}`, "take 256: consume()", { want: 0.9 }),
      perSecond(`take 256: ${name}`, "take 256: consume() confirmed"),
    ]),
    notes: [
      "From the start until the last of many is acknowledged, with a handler that does nothing. consume(): 1,000 ahead, acknowledgements that nobody confirms; confirmed, and catga: 256 in hands, each acknowledgement awaited.",
    ],
  },
};
