/** A process that fights for a lock on Redis: `leases_worker.ts URL STORE NAME`. */

import process from "node:process";
import { redisStore } from "../../adapters/redis/store.ts";
import { fightOn } from "../support/lease_fighter.ts";
import { openCommander } from "./support.ts";

const [url = "", store = "", name = ""] = process.argv.slice(2);
const commander = openCommander(url);
await fightOn(redisStore(commander, { name: store, polling: "fast" }), commander.runtime, name);
