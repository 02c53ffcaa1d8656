import { sendOnce } from "../../src/internal/send_once.ts";
import type { FetchInit, FetchReply, Runtime, Signer } from "../../src/ports/runtime.ts";
import { systemRuntime, type SystemRuntimeOptions } from "../../src/ports/system_runtime.ts";
import { nodeClient } from "./node_client.ts";
import { syncSigner } from "./sync_signer.ts";
import { usageHere } from "./usage.ts";
import { undiciClient, type UndiciLike } from "./undici_client.ts";

type Fetch = (url: string, init: FetchInit) => Promise<FetchReply>;

/**
 * The runtime for a server process: the same as `systemRuntime` on every platform, made faster and safer by what
 * processes have. Cryptography answers at once (`node:crypto`); nodes can tell how busy they are; requests go out by `fetch` on Bun, by `fetch` kept from
 * sending one twice on Deno, and on Node by the package `undici`, or by Node's own client where it is missing.
 */
export function processRuntime(options: SystemRuntimeOptions = {}): Runtime {
  const system = systemRuntime(options);
  return {
    ...system,
    crypto: onFirstUse(() => syncSigner() ?? system.crypto),
    fetch: options.fetch ?? clientHere(system.fetch),
    usage: usageHere(),
  };
}

/** Loading `node:crypto` takes longer than starting a node, which may never sign anything. */
function onFirstUse(make: () => Signer): Signer {
  let signer: Signer | undefined;
  return {
    hmac: (key, text) => (signer ??= make()).hmac(key, text),
    hash: (body) => (signer ??= make()).hash(body),
  };
}

/**
 * Deno's server closes a connection whose request came in more than one packet. A client that keeps connections is
 * the faster one below that size, and Deno's own above it, in bytes.
 */
const ONE_PACKET = 700;

function clientHere(platform: Fetch): Fetch {
  const here = globalThis as { readonly Bun?: unknown; readonly Deno?: unknown };
  if (here.Deno !== undefined) {
    const once = sendOnce(platform);
    const undici = preferUndici(once);
    return (url, init) => ((init.body?.length ?? 0) < ONE_PACKET ? undici : once)(url, init);
  }
  // Not on Deno: its copy of Node's client sends a request again that was destroyed on a kept connection.
  const node = here.Bun === undefined ? nodeClient() : undefined;
  return node === undefined ? platform : preferUndici(node);
}

/** Looks for undici at the first request; until it is there and where it is not, `otherwise` sends. */
function preferUndici(otherwise: Fetch): Fetch {
  let chosen: Fetch | undefined;
  let choosing: Promise<Fetch> | undefined;
  return (url, init) => {
    if (chosen !== undefined) return chosen(url, init);
    choosing ??= import("undici").then(
      (module) => undiciClient(module as unknown as UndiciLike),
      () => otherwise,
    ).then((client) => chosen = client);
    return choosing.then((client) => client(url, init));
  };
}
