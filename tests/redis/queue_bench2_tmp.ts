import { execFileSync } from "node:child_process";
import { openStand } from "./support.ts";
import { redisQueue } from "../../adapters/redis/queue.ts";
const stand = await openStand();
const redis = stand.open();
const BATCH = Number(process.env.BATCH ?? 100), ROUNDS = 300, N = BATCH * ROUNDS;
const payload = "x".repeat(200);
const cli = (...a: string[]) => execFileSync("redis-cli", ["-p", String(stand.server.port), ...a]).toString();
await redis.send(["XGROUP", "CREATE", "plain", "g", "0", "MKSTREAM"]);
for (let at = 0; at < N; at += 500) {
  await Promise.all(
    Array.from(
      { length: 500 },
      (_, i) => redis.send(["XADD", "plain", "*", "i", `${at + i}`, "p", payload, "k", ""]),
    ),
  );
}
const queue = redisQueue(redis, { name: "b" });
await queue.subscribe("t", "g");
for (let at = 0; at < N; at += 500) {
  await queue.push("t", Array.from({ length: 500 }, (_, i) => ({ id: `${at + i}`, payload })));
}
const t: Record<string, number[]> = {};
const time = async (k: string, f: () => Promise<any>) => {
  const b = performance.now();
  const r = await f();
  (t[k] ??= []).push(performance.now() - b);
  return r;
};
cli("CONFIG", "RESETSTAT");
for (let r = 0; r < ROUNDS; r++) {
  const found = await time(
    "xreadgroup",
    () => redis.send(["XREADGROUP", "GROUP", "g", "c", "COUNT", BATCH, "STREAMS", "plain", ">"]),
  );
  await time("xack", () => redis.send(["XACK", "plain", "g", ...found[0][1].map((e: any) => e[0])]));
  const taken = await time("pull", () => queue.pull("t", "g", { max: BATCH, lease: 30000 }));
  await time("ack", () => Promise.all(taken.map((d: any) => d.ack())));
}
for (const k in t) {
  const s = t[k]!.slice(20).sort((a, b) => a - b);
  console.log(k, s[Math.floor(s.length * .1)]!.toFixed(3), s[s.length >> 1]!.toFixed(3));
}
console.log(cli("INFO", "commandstats").split("\n").map((l) => l.split(",rej")[0]).join("\n"));
await redis[Symbol.asyncDispose]();
await stand[Symbol.asyncDispose]();
process.exit(0);
