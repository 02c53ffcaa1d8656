/** A process that fights for a lock on NATS: `leases_worker.ts URL CLUSTER NAME`. */

import process from "node:process";
import { systemRuntime } from "@catga/catga/ports";
import { natsStore } from "../../adapters/nats/store.ts";
import { fightOn } from "../support/lease_fighter.ts";
import { openLink } from "./support.ts";

const [url = "", cluster = "", name = ""] = process.argv.slice(2);
const runtime = systemRuntime({ log: () => {} });
await fightOn(await natsStore(await openLink(url, { cluster, runtime })), runtime, name);
