/** A process that connects by WebSocket and says what came of it: `tls_worker.ts URL`, with `TRUSTED` in its environment. */

import { readFileSync } from "node:fs";
import process from "node:process";
import { CatgaError } from "@catga/catga";
import { nats, type NatsOptions, type WebSocketMaker } from "@catga/catga/nats";
import { systemRuntime } from "@catga/catga/ports";

const [url = ""] = process.argv.slice(2);
try {
  await using backend = await nats(url, { runtime: systemRuntime({ log: () => {} }), ...trusting() });
  const { healthy } = await backend.health();
  console.log(healthy ? "healthy" : "ill");
} catch (thrown) {
  console.log(CatgaError.is(thrown) ? thrown.code : String(thrown));
}
process.exit(0);

/** Node and Deno go by `NODE_EXTRA_CA_CERTS` and `DENO_CERT`; Bun's WebSocket has an option of its own. */
function trusting(): NatsOptions {
  const { TRUSTED } = process.env;
  if (TRUSTED === undefined || !("Bun" in globalThis)) return {};
  const ca = readFileSync(TRUSTED, "utf8");
  class Trusting extends WebSocket {
    constructor(url: string) {
      super(url, { tls: { ca } } as unknown as string[]);
    }
  }
  return { webSocket: Trusting as unknown as WebSocketMaker };
}
