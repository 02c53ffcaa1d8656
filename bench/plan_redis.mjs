// What is measured of Redis by its REST API; as plan.mjs. `effort` takes the place of what figures are given otherwise.
const LEVELS = ["1", "64"];

const common = {
  kind: "figures",
  rounds: 3,
  effort: { warmup: 1500, ms: 1500 },
  rates: ["perSecond"],
  broker: () => "gateway",
};

const figures = {
  perSecond: "a second",
  p50: "ms, the median",
  requests: "requests each",
  cpu: "CPU µs each, of all three processes",
};

const GATEWAY =
  "The gateway of `/redis/gateway` on Bun and redis-server 7.0 a process each, for all alike; a wrong answer fails the run.";

const pairs = (levels, ours, others, of = ["perSecond"]) =>
  levels.flatMap((level) =>
    others.flatMap((other) =>
      of.map((each) => ({ of: each, ours: `${level}: ${ours}`, other: `${level}: ${other}` }))
    )
  );

const LIMITED = ["1", "64", "64 of one key"];
const LIMITERS = ["window", "bucket"].map((kind) => `@upstash/ratelimit, ${kind}`);
const TURNS = ["64 locks", "64 idempotent"];
const SINGLY = ["its commands, one a request", "@upstash/redis, one a request"];
const TURN_LIMIT = "@upstash/redis, one a turn";
const PUSHES = ["push 1", "push 64", "push batches of 100"];
const TAKES = ["take 10", "take 100"];

export const redisRows = {
  redisLock: {
    ...common,
    title: "A lock in Redis over HTTP, taken and let go",
    script: "rows/redis_lock.ts",
    figures,
    candidates: LEVELS.flatMap((level) =>
      ["catga", "@upstash/lock", "SET NX, EVAL"].map((name) => `${level}: ${name}`)
    ),
    compare: [
      ...LEVELS.map((level) => ({ of: "requests", ours: `${level}: catga`, wantAbsolute: 2.01 })),
      ...pairs(LEVELS, "catga", ["@upstash/lock", "SET NX, EVAL"]),
      ...pairs(["1"], "catga", ["@upstash/lock", "SET NX, EVAL"], ["p50"]),
    ],
    notes: [
      GATEWAY,
      "1 or 64 in flight, each with a name of its own, free when it is asked for. catga: with a fencing token, a signal and renewal; the others end after 10 s. SET NX, EVAL: by `@upstash/redis`, which sends what meets in a turn together, also for `@upstash/lock`.",
    ],
  },
  redisLimit: {
    ...common,
    title: "A rate limit in Redis over HTTP",
    rounds: 2,
    script: "rows/redis_limit.ts",
    figures,
    candidates: LIMITED.flatMap((level) => ["catga", ...LIMITERS].map((name) => `${level}: ${name}`)),
    compare: pairs(LIMITED, "catga", LIMITERS),
    notes: [
      GATEWAY,
      "All are allowed, as the limit is far away: 1 or 64 in flight, each for a key of its own or all for one. @upstash/ratelimit: its sliding window and its token bucket, without what it remembers in the process; 2.0.8, as the scripts of later ones want a flag that only Upstash's own Redis knows (`allow-key-locking`).",
    ],
  },
  redisCache: {
    ...common,
    title: "A cached value, over HTTP or in the process",
    rounds: 2,
    script: "rows/redis_cache.ts",
    figures,
    candidates: LEVELS.flatMap((level) =>
      ["catga, fresh", "catga, of the store", "GET"].map((name) => `${level}: ${name}`)
    ),
    compare: [
      ...LEVELS.map((level) => ({ of: "requests", ours: `${level}: catga, fresh`, wantAbsolute: 0.001 })),
      ...["catga, fresh", "catga, of the store"].flatMap((ours) => pairs(LEVELS, ours, ["GET"])),
    ],
    notes: [
      GATEWAY,
      "1,000 values of 180 bytes of JSON. Fresh: kept in the process as well, where none of these gets asks Redis, which is checked; what is counted is that the process looks now and then for changes. GET: by `@upstash/redis`.",
    ],
  },
  redisTurn: {
    ...common,
    title: "What 64 in flight ask of Redis over HTTP in one turn",
    script: "rows/redis_turn.ts",
    figures,
    candidates: TURNS.flatMap((what) => ["catga", ...SINGLY, TURN_LIMIT].map((name) => `${what}: ${name}`)),
    compare: [
      ...pairs(TURNS, "catga", SINGLY).map((each) => ({ ...each, want: { bun: 5, deno: 8, node: 20 } })),
      ...pairs(TURNS, TURN_LIMIT, SINGLY.slice(1)),
      ...pairs(TURNS, "catga", [TURN_LIMIT]),
      ...pairs(TURNS, "catga", SINGLY, ["cpu"]),
    ],
    notes: [
      GATEWAY,
      "Locks: taken and let go. Idempotent: a command with a key that is new, through a mediator: a claim and the answer in its place. Its commands, one a request: the same of catga, by the same client, 64 requests at a time. @upstash/redis without auto-pipelining: SET NX and EVAL, or SET NX and SET, by the platform's `fetch`; one a turn, the limit: the same with it.",
    ],
  },
  redisQueue: {
    ...common,
    title: "A queue of jobs in Redis over HTTP, put in and taken",
    script: "rows/redis_queue.ts",
    figures: { perSecond: "a second", cpu: "CPU µs each, of all processes" },
    broker: (candidate) => candidate.includes("TCP") ? "redis" : "gateway",
    candidates: [
      ...PUSHES.flatMap((what) =>
        ["catga", "plain stream", "BullMQ by TCP"].map((name) => `${what}: ${name}`)
      ),
      ...TAKES.flatMap((what) =>
        ["catga", "plain stream", "plain stream joined", "BullMQ by TCP"].map((name) => `${what}: ${name}`)
      ),
    ],
    compare: [
      ...pairs(TAKES, "catga", ["plain stream"]).map((each) => ({ ...each, want: 0.8 })),
      ...pairs(TAKES, "catga", ["plain stream joined"]),
      ...pairs(PUSHES, "catga", ["plain stream"]),
      ...pairs([...PUSHES, ...TAKES], "catga", ["BullMQ by TCP"]),
    ],
    notes: [
      `${GATEWAY} BullMQ without it, over TCP by ioredis: it knows no HTTP.`,
      "As in the queue of jobs above. Plain stream: XADD, and a loop of XREADGROUP, then XACK of all that was read; joined: an XACK and the next XREADGROUP in one request. By the client that catga sends by; what others have in flight is one request there.",
    ],
  },
};
