import { deliveries } from "/work/main/tests/e2e/deliveries.ts";
const [kills, serverKills, events, seed] = process.argv.slice(2).map(Number);
const r = await deliveries({ events: events!, kills: kills!, serverKills: serverKills!, keeper: "nats", lease: 2000, seed: seed! }, () => {});
console.log(JSON.stringify(r.rows), JSON.stringify(r.broken)); process.exit(0);
