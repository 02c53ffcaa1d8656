import { openStand } from "./support.ts";
import { redisQueue } from "../../adapters/redis/queue.ts";
const stand = await openStand();
const redis = stand.open();
const BATCH = Number(process.env.BATCH ?? 100),
  ROUNDS = Number(process.env.ROUNDS ?? 200),
  N = BATCH * ROUNDS;
const payload = "x".repeat(200);
await redis.send(["XGROUP", "CREATE", "plain", "g", "0", "MKSTREAM"]);
await redis.send(["XGROUP", "CREATE", "each", "g", "0", "MKSTREAM"]);
for (const s of ["plain", "each"]) {
  for (let at = 0; at < N; at += 500) {
    await Promise.all(
      Array.from(
        { length: Math.min(500, N - at) },
        (_, i) => redis.send(["XADD", s, "*", "i", `${at + i}`, "p", payload, "k", ""]),
      ),
    );
  }
}
const fill = async (topic: string, keyed: boolean, groups: number) => {
  const queue = redisQueue(redis, { name: "b" });
  for (let g = 0; g < groups; g++) await queue.subscribe(topic, `g${g}`);
  for (let at = 0; at < N; at += 500) {
    await queue.push(
      topic,
      Array.from(
        { length: Math.min(500, N - at) },
        (_, i) => ({ id: `${at + i}`, payload, ...(keyed ? { key: `${(at + i) % 200}` } : {}) }),
      ),
    );
  }
  return async () => {
    const taken = await queue.pull(topic, "g0", { max: BATCH, lease: 30000 });
    await Promise.all(taken.map((d) => d.ack()));
    return taken.length;
  };
};
const plain = (stream: string, each: boolean) => async () => {
  const found = await redis.send([
    "XREADGROUP",
    "GROUP",
    "g",
    "c",
    "COUNT",
    BATCH,
    "STREAMS",
    stream,
    ">",
  ]) as any;
  const ids = found[0][1].map((e: any) => e[0]);
  if (each) await Promise.all(ids.map((id: string) => redis.send(["XACK", stream, "g", id])));
  else await redis.send(["XACK", stream, "g", ...ids]);
  return ids.length;
};
const rows: Record<string, () => Promise<number>> = {
  plain: plain("plain", false),
  "plain, an XACK each": plain("each", true),
  ours: await fill("t", false, 1),
  keyed: await fill("k", true, 1),
  "two groups": await fill("two", false, 2),
};
const times: Record<string, number[]> = Object.fromEntries(Object.keys(rows).map((k) => [k, []]));
for (let r = 0; r < ROUNDS; r++) {
  for (const [k, f] of Object.entries(rows)) {
    const began = performance.now();
    const n = await f();
    times[k]!.push(performance.now() - began);
    if (n !== BATCH) throw new Error(`${k} ${n}`);
  }
}
const q = (k: string, p: number) =>
  times[k]!.slice(Math.floor(ROUNDS / 10)).sort((a, b) => a - b)[Math.floor(ROUNDS * 0.9 * p)]!;
for (const k of Object.keys(rows)) {
  console.log(
    `batch ${BATCH} ${k}: p10 ${q(k, .1).toFixed(2)} ms, p25 ${q(k, .25).toFixed(2)}, median ${
      q(k, .5).toFixed(2)
    }; ratio p10 ${(q("plain", .1) / q(k, .1)).toFixed(2)} p25 ${
      (q("plain", .25) / q(k, .25)).toFixed(2)
    } median ${(q("plain", .5) / q(k, .5)).toFixed(2)}`,
  );
}

import { script } from "../../adapters/redis/scripts.ts";
const nul = script("nul", "return 1");
const t2: Record<string, number[]> = {};
const fs: Record<string, () => Promise<unknown>> = {
  "send PING": () => redis.send(["PING"]),
  "run nul": () => redis.run(nul, ["a"]),
};
for (let r = 0; r < 300; r++) {
  for (const [k, f] of Object.entries(fs)) {
    const b = performance.now();
    await f();
    (t2[k] ??= []).push(performance.now() - b);
  }
}
for (const k in t2) console.log(k, t2[k]!.slice(50).sort((a, b) => a - b)[60]);
console.log(
  String(await redis.send(["INFO", "commandstats"])).split("\n").filter((l) =>
    /evalsha|xread|xack|zadd|xdel|zrem|hget|zscore|xrange|ping/.test(l)
  ).join("\n"),
);
await redis[Symbol.asyncDispose]();
await stand[Symbol.asyncDispose]();
process.exit(0);
