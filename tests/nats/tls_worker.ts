/** A process that connects and says what came of it: `tls_worker.ts URL`. */

import process from "node:process";
import { CatgaError } from "@catga/catga";
import { nats } from "@catga/catga/nats";
import { systemRuntime } from "@catga/catga/ports";

const [url = ""] = process.argv.slice(2);
try {
  await using backend = await nats(url, { runtime: systemRuntime({ log: () => {} }) });
  const { healthy } = await backend.health();
  console.log(healthy ? "healthy" : "ill");
} catch (thrown) {
  console.log(CatgaError.is(thrown) ? thrown.code : String(thrown));
}
process.exit(0);
