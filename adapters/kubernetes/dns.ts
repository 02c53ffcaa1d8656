import type { Discovery } from "../../src/ports/discovery.ts";
import { bounded } from "./bounded.ts";
import { type DnsRecord, type Resolve, resolveHere } from "./dns_resolve.ts";
import { keepLooking, type Look } from "./keep_looking.ts";
import { reasonOf, trouble } from "./trouble.ts";

/** What {@linkcode dns} takes. */
export interface DnsOptions {
  /**
   * The whole name of a headless service, such as `orders.shop.svc.cluster.local`, or of its SRV records, such as
   * `_catga._tcp.orders.shop.svc.cluster.local`. Search domains are not tried.
   */
  readonly name: string;
  /** The port that nodes listen on. SRV records tell it, and are asked for, if it is left out. */
  readonly port?: number;
  /** How nodes are reached. @default "http" */
  readonly scheme?: "http" | "https";
  /** How long to wait between two looks, in ms, give or take a tenth. @default 10000 */
  readonly refresh?: number;
  /** How long a look may take, in ms. @default 5000 */
  readonly timeout?: number;
  /** Name servers to ask, such as `10.96.0.10` or `127.0.0.1:5353`. @default those of the machine */
  readonly servers?: readonly string[];
  /** Asks name servers. @default by `node:dns`, which Deno, Bun and Node have */
  readonly resolve?: Resolve;
}

/**
 * Finds the nodes behind a name by asking name servers for it again and again: A and AAAA records with a port, SRV
 * records without. How long name servers let a record be kept is not asked for: `refresh` says how old it may get, and
 * their caches add theirs. A look that fails, that takes too long or finds no records leaves what was found last.
 *
 * Throws a `RangeError` for a name, a port or a time that can't be one. On a runtime without `node:dns` each look fails
 * with `VALIDATION` unless `resolve` is given.
 *
 * @example
 * ```ts
 * import { http } from "@catga/catga/http";
 * import { dns } from "@catga/catga/kubernetes";
 *
 * const secret = "the same 32 or more characters on every node";
 * const peers = dns({ name: "orders.shop.svc.cluster.local", port: 5001 });
 * console.log(http({ peers, secret }).name); // http
 * ```
 */
export function dns(options: DnsOptions): Discovery {
  const { name, port, scheme = "http", refresh = 10_000, timeout = 5000, servers } = options;
  if (!isName(name)) throw new RangeError(`name must be a DNS name, not ${JSON.stringify(name)}`);
  if (port !== undefined && !isPort(port)) throw new RangeError(`port must be from 1 to 65535, not ${port}`);
  if (scheme !== "http" && scheme !== "https") {
    throw new RangeError(`scheme must be "http" or "https", not ${JSON.stringify(scheme)}`);
  }
  if (!(refresh >= 100)) throw new RangeError(`refresh must be 100 ms or more, not ${refresh}`);
  if (!(timeout > 0)) throw new RangeError(`timeout must be over 0 ms, not ${timeout}`);
  const resolve = options.resolve ?? resolveHere(servers, timeout);
  const called = `DNS name "${name}"`;
  return {
    name: called,
    open: ({ clock, random, ...runtime }) => {
      const look: Look = async (found, signal) => {
        const records = await bounded(
          clock,
          timeout,
          signal,
          `resolving ${name}`,
          (signal) => port === undefined ? resolve(name, "SRV", signal) : addresses(resolve, name, signal),
        );
        // Nobody can tell a name whose nodes are all gone from a name server that knows nothing yet.
        if (records.length === 0) throw trouble("UNAVAILABLE", `Cannot resolve ${name}: it has no records`);
        found.set(endpointsOf(records, scheme, port));
        return refresh * (0.9 + random.u32() / 2 ** 32 / 5);
      };
      return keepLooking(called, { clock, random, ...runtime }, look);
    },
  };
}

/** A name has addresses of either kind or of both: one that is found is enough. */
async function addresses(
  resolve: Resolve,
  name: string,
  signal: AbortSignal,
): Promise<readonly DnsRecord[]> {
  const asked = await Promise.allSettled(
    (["A", "AAAA"] as const).map(async (type) => await resolve(name, type, signal)),
  );
  const records = asked.flatMap((each) => each.status === "fulfilled" ? each.value : []);
  const failed = asked.find((each) => each.status === "rejected");
  if (records.length > 0 || failed === undefined) return records;
  throw trouble("UNAVAILABLE", `Cannot resolve ${name}: ${reasonOf(failed.reason)}`);
}

function* endpointsOf(
  records: readonly DnsRecord[],
  scheme: string,
  port: number | undefined,
): Generator<string> {
  for (const record of records) {
    const host = record.host.replace(/\.$/, "");
    const at = port ?? record.port;
    if (!isPort(at)) continue;
    if (/^[\da-f:.]{2,45}$/i.test(host) && host.includes(":")) yield `${scheme}://[${host}]:${at}`;
    else if (isName(host)) yield `${scheme}://${host}:${at}`;
  }
}

function isName(text: string): boolean {
  return text.length <= 254 && /^([\w]([\w-]{0,61}\w)?\.)*[\w]([\w-]{0,61}\w)?\.?$/.test(text);
}

function isPort(port: number | undefined): boolean {
  return port !== undefined && Number.isInteger(port) && port > 0 && port < 65_536;
}
