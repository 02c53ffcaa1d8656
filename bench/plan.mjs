// What is measured, what it is held against, and what the issues wanted. `want` is the highest ratio of times or bytes,
// or the lowest of calls per second: one number for all runtimes or one each. Ahead of every `peer` is wanted as such.
import { brokerRows } from "./plan_brokers.mjs";
import { clusterRows } from "./plan_cluster.mjs";
import { redisRows } from "./plan_redis.mjs";

const LOCAL_PEERS = ["@nestjs/cqrs", "moleculer", "Effect", "oRPC", "mediatr-ts"];

const ROUTERS = [
  "the first one",
  "roundRobin",
  "weightedRoundRobin",
  "consistentHash",
  "consistentHash, bounded",
  "localFirst",
  "zoneFirst",
  "tagged",
  "firstOf",
  "leastConnections",
  "leastLoad",
  "random",
  "powerOfTwo",
];

const SNOWFLAKES = ["@sapphire/snowflake", "nodejs-snowflake"];
const TIMED_TEXTS = ["@akashrajpurohit/snowflake-id", "flake-idgen, hex", "uuid v7", "uuidv7", "ulid"];

const faster = (ours, peers) => peers.map((other) => ({ ours, other, peer: true }));

export const rows = {
  send: {
    title: "Local send, awaited",
    kind: "local",
    unit: "ns a send",
    candidates: [
      "direct call",
      "Result limit",
      "3 async wrappers",
      "catga",
      "catga, 5 idle behaviors",
      "catga, 3 behaviors",
      ...LOCAL_PEERS,
      "Hono, app.request",
    ],
    compare: [
      { ours: "catga", other: "Result limit", want: 1.25 },
      { ours: "catga", other: "direct call" },
      { ours: "catga, 5 idle behaviors", other: "catga", want: 1.1 },
      { ours: "catga, 3 behaviors", other: "3 async wrappers", want: 1 },
      ...faster("catga", [...LOCAL_PEERS, "Hono, app.request"]),
    ],
    notes: [
      "Result limit: an `async` handler that makes the Result itself, and one `.then` for its failure.",
      "Each send makes its body and message anew; only catga and the Result limit answer a Result.",
    ],
  },
  heap: {
    title: "Heap a local send leaves behind, on Node",
    kind: "heap",
    unit: "bytes a send",
    only: ["node"],
    candidates: ["direct call", "Result limit", "catga", "catga, 3 behaviors", ...LOCAL_PEERS],
    compare: [
      { ours: "catga", other: "Result limit" },
      { ours: "catga", other: "direct call" },
      { ours: "catga", wantAbsolute: 330 },
      ...faster("catga", LOCAL_PEERS),
    ],
    notes: ["The loop's own `await` is in every figure, and is most of the direct call's."],
  },
  publish: {
    title: "Publish in one process, to 1, 3 and 10 listeners",
    kind: "local",
    unit: "ns a publish",
    candidates: [1, 3, 10].flatMap((k) =>
      [
        "all started, then awaited",
        "catga",
        "@nestjs/cqrs",
        "moleculer",
        "mediatr-ts",
        "Map and loop, not awaited",
        "catga, not awaited",
      ].map((name) => `${name} (${k})`)
    ),
    compare: [1, 3, 10].flatMap((k) => [
      { ours: `catga (${k})`, other: `all started, then awaited (${k})`, want: 1.1 },
      { ours: `catga, not awaited (${k})`, other: `Map and loop, not awaited (${k})`, want: 1.5 },
      ...faster(
        `catga (${k})`,
        ["@nestjs/cqrs", "moleculer", "mediatr-ts"].map((name) => `${name} (${k})`),
      ),
    ]),
    notes: [
      "Awaited: `async` listeners. Not awaited: synchronous listeners of a QoS 0 event.",
      "The event bus of @nestjs/cqrs can't be awaited; its figure ends when the listeners were started.",
    ],
  },
  batch: {
    title: "Batch of 1,000 in one process",
    kind: "local",
    unit: "ns a request",
    candidates: ["Promise.all of direct calls", "catga", ...LOCAL_PEERS],
    compare: [
      { ours: "catga", other: "Promise.all of direct calls", want: 1.15 },
      ...faster("catga", LOCAL_PEERS),
    ],
    notes: ["The thousand messages (bodies) are made beforehand; catga answers a Result each."],
  },
  cache: {
    title: "A cache of 10,000 entries with TTL",
    kind: "local",
    unit: "ns an operation",
    candidates: ["get", "set"].flatMap((what) =>
      ["plain Map", "catga", "lru-cache", "quick-lru"].map((name) => `${what}: ${name}`)
    ),
    compare: [
      { ours: "get: catga", other: "get: plain Map", want: 2 },
      { ours: "set: catga", other: "set: plain Map" },
      ...["get", "set"].flatMap((what) =>
        faster(`${what}: catga`, ["lru-cache", "quick-lru"].map((name) => `${what}: ${name}`))
      ),
    ],
    notes: [
      "get: all are there. set: each makes another go; the plain Map only overwrites, and has no TTL.",
      "The time is passed in to catga's; the peers read a clock of their own.",
    ],
  },
  ring: {
    title: "Consistent hashing among 100 nodes: the owner of a key; one node more or less",
    kind: "local",
    unit: "ns an operation",
    candidates: [
      "owner: ring entered through a table",
      "owner: catga",
      "owner: Effect",
      "owner: hashring",
      "owner: consistent-hash",
      "change: catga",
      "change: Effect",
      "change: hashring",
    ],
    compare: [
      { ours: "owner: catga", other: "owner: ring entered through a table", want: 1.2 },
      ...faster("owner: catga", ["Effect", "hashring", "consistent-hash"].map((name) => `owner: ${name}`)),
      { ours: "change: catga", wantAbsolute: 500_000 },
      { ours: "change: catga", other: "change: Effect" },
      { ours: "change: catga", other: "change: hashring" },
    ],
    notes: [
      "256 points a node for catga and the limit, 128 for Effect, 160 for hashring, without its cache of keys.",
      "consistent-hash takes its points from Math.random: no two processes agree on an owner.",
    ],
  },
  ids: {
    title: "Ids: one by one, 4,096 into an array, and as text",
    kind: "local",
    unit: "ns an id",
    candidates: [
      "next: clock and counter",
      "next: catga",
      "next: catga, 41-10-12",
      "next: catga, as numbers",
      ...SNOWFLAKES.map((name) => `next: ${name}`),
      "batch: counted into an array",
      "batch: catga",
      "text: clock and counter",
      "text: catga",
      "text: catga, UUID v7",
      ...TIMED_TEXTS.map((name) => `text: ${name}`),
      "text: nanoid, no time",
      "text: randomUUID, no time",
    ],
    compare: [
      { ours: "next: catga", other: "next: clock and counter", want: 1.15 },
      { ours: "next: catga", wantAbsolute: 100 },
      ...faster("next: catga", SNOWFLAKES.map((name) => `next: ${name}`)),
      { ours: "batch: catga", other: "batch: counted into an array", want: 1.15 },
      { ours: "batch: catga", wantAbsolute: 5 },
      { ours: "text: catga", other: "text: clock and counter", want: 1.3 },
      ...faster("text: catga", TIMED_TEXTS.map((name) => `text: ${name}`)),
      ...faster("text: catga, UUID v7", ["uuid v7", "uuidv7", "ulid"].map((name) => `text: ${name}`)),
      { ours: "text: catga", other: "text: nanoid, no time" },
      { ours: "text: catga", other: "text: randomUUID, no time" },
    ],
    notes: [
      "Each reads the clock for each id, or batch. Limits: a counter beside the bits of the ms, with no bounds.",
      "catga's layout is 41-4-18, which allows 262 million ids a second for long; 41-10-12 allows 4.1 million and 41-5-7, whose ids fit a number, 128,000. Here all may run ahead of the clock.",
      "@sapphire/snowflake makes the same id twice when more than 4,096 are taken in a ms; nodejs-snowflake, flake-idgen and @akashrajpurohit/snowflake-id wait for the next ms. nanoid and randomUUID say no time and have no order.",
    ],
  },
  routers: {
    title: "The choice of a node, among 3 and among 100",
    kind: "local",
    unit: "ns a choice",
    candidates: [3, 100].flatMap((count) => ROUTERS.map((name) => `${name} (${count})`)),
    compare: [3, 100].flatMap((count) =>
      ROUTERS.slice(1).map((name) => ({ ours: `${name} (${count})`, other: `the first one (${count})` }))
    ),
    notes: [
      "The first one: a router that takes the first candidate, which is what calling a router costs.",
      "powerOfTwo, random and leastLoad draw from the platform's cryptographic chance.",
    ],
  },
  remote: {
    title: "Remote send between two processes",
    kind: "remote",
    levels: [1, 64, 256],
    candidates: [
      "catga",
      "catga, signed",
      "limit: 64 in one POST",
      "Hono + fetch",
      "Hono + undici Pool",
      "moleculer, TCP",
      "@nestjs/microservices, TCP",
      "oRPC",
      "oRPC, batch plugins",
    ],
    onlyOn: { "Hono + undici Pool": ["node"] },
    /** The faster one is plain Hono's figure. */
    groups: { "plain Hono": ["Hono + fetch", "Hono + undici Pool"] },
    compare: [
      { level: 1, latency: true, ours: "catga", other: "plain Hono", want: 1.15 },
      { level: 64, ours: "catga", other: "plain Hono", want: { bun: 4, deno: 8, node: 3 } },
      { level: 256, ours: "catga", other: "plain Hono", want: { bun: 8, deno: 12, node: 4 } },
      { level: 64, ours: "limit: 64 in one POST", other: "plain Hono" },
      { level: 256, ours: "limit: 64 in one POST", other: "plain Hono" },
      { level: 64, ours: "catga", other: "limit: 64 in one POST", want: 0.7 },
      { level: 256, ours: "catga", other: "limit: 64 in one POST", want: 0.7 },
      ...[1, 64, 256].flatMap((level) => [
        { level, cpu: true, ours: "catga", other: "plain Hono" },
        { level, cpu: true, ours: "catga", other: "limit: 64 in one POST" },
        { level, ours: "catga, signed", other: "catga" },
      ]),
      ...[64, 256].flatMap((level) =>
        [
          { other: "moleculer, TCP", peer: true },
          { other: "@nestjs/microservices, TCP", peer: true },
          { other: "oRPC" },
          { other: "oRPC, batch plugins" },
        ].map((each) => ({ level, ours: "catga", ...each }))
      ),
    ],
    notes: [
      "180 bytes of JSON there, 90 back; closed loop; client and server a process each; a wrong answer fails the run.",
      "Limit: what meets in a turn, up to 64, shares one POST; no framework at either end, the runtime's raw server.",
      "Deno 2.9.5 closes a connection after each request whose body comes after its head (denoland/deno issue 36657), so there every shared POST costs the limit and catga a connection.",
      "Plain Hono: one JSON request per call with the runtime's `fetch`; on Node the faster of `fetch` and an undici Pool.",
    ],
  },
  events: {
    title: "Event sourcing in memory: appends, the state of 100 events, commands",
    kind: "local",
    unit: "ns an append, an event, a command",
    candidates: [
      "append: text into arrays",
      "append: catga",
      "append: Emmett",
      "state of 100: texts of an array",
      "state of 100: catga",
      "state of 100: Emmett",
      "command: catga",
      "command: Emmett",
    ],
    compare: [
      { ours: "append: catga", other: "append: text into arrays" },
      { ours: "state of 100: catga", other: "state of 100: texts of an array" },
      ...["append", "state of 100", "command"].flatMap((what) =>
        faster(`${what}: catga`, [`${what}: Emmett`])
      ),
    ],
    notes: [
      "Append: 20 events to each of 50 streams of a new store, each at its expected version. Command: the same, decided on the state.",
      "catga's store keeps JSON text and knows events by their ids, as every other store does; Emmett's keeps the objects it was given, and neither writes nor reads JSON.",
      "Emmett's SQLite store is left out: 0.42.4, which goes with this Emmett, wants an Emmett 0.42.4 that the registry does not have (ETARGET); 0.38.5 wants Emmett 0.38.5 and compiles sqlite3 5.1.7 from source, and on Deno its appends fail with SQLITE_BUSY.",
    ],
  },
  ...clusterRows,
  storage: {
    title: "An embedded SQLite file",
    kind: "figures",
    script: "rows/storage.ts",
    rates: ["perSecond"],
    figures: { perSecond: "a second", cpu: "CPU µs each" },
    candidates: [
      ...["power", "process"].flatMap((durability) =>
        [1, 64, 256].flatMap((count) => [
          `${durability}: raw INSERT, any id, ${count} a transaction`,
          `${durability}: raw INSERT, ${count} a transaction`,
          `${durability}: push, ${count} in flight`,
        ])
      ),
      ...[1, 64].flatMap((count) => [
        `power: raw push, lease and delete, ${count} a transaction`,
        `power: push, pull and acknowledge, ${count} at once`,
        `power: raw append, ${count} a transaction`,
        `power: append, ${count} in flight`,
      ]),
      "power: raw read of 100 events",
      "power: read of 100 events",
    ],
    compare: [
      ...["power", "process"].flatMap((durability) =>
        [1, 64, 256].flatMap((count) => {
          const ours = `${durability}: push, ${count} in flight`;
          const raw = (more) => `${durability}: raw INSERT, ${more}${count} a transaction`;
          return [
            { of: "perSecond", ours, other: raw(""), want: 0.5 },
            { of: "perSecond", ours, other: raw("any id, ") },
          ];
        })
      ),
      ...[1, 64].flatMap((count) => [
        {
          of: "perSecond",
          ours: `power: push, pull and acknowledge, ${count} at once`,
          other: `power: raw push, lease and delete, ${count} a transaction`,
        },
        {
          of: "perSecond",
          ours: `power: append, ${count} in flight`,
          other: `power: raw append, ${count} a transaction`,
        },
      ]),
      { of: "perSecond", ours: "power: read of 100 events", other: "power: raw read of 100 events" },
    ],
    notes: [
      "Power: each answer waits for the disk (`synchronous = FULL`). Process: it does not (`NORMAL`).",
      "Raw: the runtime's own SQLite, prepared statements, transactions of that many rows. A raw INSERT keeps ids unique, as a queue must; one of any id does not.",
      "Push: QoS 1, one item a push, one group; each caller pushes again when it was answered. 180 bytes an item.",
      "Push, pull and acknowledge: three transactions a round on both sides; what is raw knows no keys, groups or delays.",
    ],
  },
  ...brokerRows,
  ...redisRows,
  startup: {
    title: "Start and idle memory",
    kind: "startup",
    candidates: ["catga", "catga, from source", "hono"],
    onlyOn: { "catga, from source": ["deno"] },
    compare: [
      { ours: "catga", other: "hono", want: 1.1, of: "ms" },
      { ours: "catga, from source", other: "hono", of: "ms" },
      { ours: "catga", other: "hono", wantMore: 3, of: "mb" },
      { ours: "catga, from source", other: "hono", wantMore: 3, of: "mb" },
    ],
    notes: [
      "catga: mediator, cluster node and HTTP backend without Hono, from the npm package. hono: a bare Hono server.",
      "From source: file by file, as JSR gives it to Deno.",
      "Start: from spawn to the first HTTP answer. Memory: resident, after idling.",
    ],
  },
  size: {
    title: "Bundle size",
    kind: "size",
    notes: [
      "`bun build --minify`, then gzip -9; kB = 1,000 bytes. Hono, its Node server and undici are left out of catga's.",
    ],
  },
};
