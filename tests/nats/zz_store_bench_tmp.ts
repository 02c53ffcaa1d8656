import { Kvm } from "@nats-io/kv";
import { acquireLease } from "@catga/catga/durable";
import { startNats } from "./server.ts";
import { storesOn } from "./store_support.ts";
const server = await startNats();
const stores = storesOn(server);
const { store, link } = await stores.open();
const { store: other } = await stores.open();
async function rate(name: string, n: number, lanes: number, work: (i: number) => Promise<unknown>) {
  for (let i = 0; i < 50; i++) await work(i);
  const t = performance.now(); let i = 0;
  await Promise.all(Array.from({ length: lanes }, async () => { while (i < n) await work(i++); }));
  const ms = performance.now() - t;
  console.log(name.padEnd(34), (n / ms * 1000).toFixed(0).padStart(8), "/s", (ms / n * lanes).toFixed(3), "ms");
}
const kv = await new Kvm(link.connection).create("bench");
const v = "x".repeat(100);
await rate("kv.put 1", 1000, 1, (i) => kv.put(`k${i % 500}`, v));
await rate("store.put 1", 1000, 1, (i) => store.put(`k/${i % 500}`, v));
await rate("kv.put 64", 5000, 64, (i) => kv.put(`k${i % 500}`, v));
await rate("store.put 64", 5000, 64, (i) => store.put(`k/${i % 500}`, v));
await rate("kv.get 64", 5000, 64, (i) => kv.get(`k${i % 500}`));
await rate("store.get 64", 5000, 64, (i) => store.get(`k/${i % 500}`));
let rev = await store.put("cas", v, { ttl: 60000 });
await rate("store.put cas ttl 1", 1000, 1, async () => rev = await store.put("cas", v, { ttl: 60000, expected: rev }));
let rk = await kv.put("cas", v);
await rate("kv.update 1", 1000, 1, async () => rk = await kv.update("cas", v, rk));
await rate("store.list 500", 50, 1, () => store.list("k/"));
await rate("kv.keys 500", 20, 1, async () => { for await (const _ of await kv.keys()) {/**/} });
await rate("watch begin+end (500 there)", 100, 1, async () => { for await (const c of store.watch("k/")) if (c.type === "ready") break; });
await rate("watch begin+end (0 there)", 100, 1, async () => { for await (const c of store.watch("z/")) if (c.type === "ready") break; });
await rate("watch begin, 64 at once (500)", 128, 64, async () => { for await (const c of store.watch("k/12")) if (c.type === "ready") break; });
await rate("lease free", 200, 1, async () => { const l = await acquireLease("l/a", { store, runtime: link.runtime, owner: "a", ttl: 5000 }); await l.release(); });
const t0 = performance.now();
let l = await acquireLease("l/b", { store, runtime: link.runtime, owner: "a", ttl: 5000 });
for (let i = 0; i < 100; i++) {
  const s = i % 2 ? store : other;
  const w = acquireLease("l/b", { store: s, runtime: link.runtime, owner: `o${i}`, ttl: 5000 });
  await new Promise((r) => setTimeout(r, 1));
  await l.release(); l = await w;
}
console.log("lease handed on", ((performance.now() - t0) / 100).toFixed(2), "ms");
await l.release();
await stores[Symbol.asyncDispose]();
await server[Symbol.asyncDispose]();
process.exit(0);
