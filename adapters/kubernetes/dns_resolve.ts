import { builtin } from "./host.ts";
import { codeOf, trouble } from "./trouble.ts";

/** What a name server says of a name. */
export interface DnsRecord {
  /** An address, or the name of a host. */
  readonly host: string;
  /** The port, of an SRV record. */
  readonly port?: number;
}

/** Asks name servers for the records of a name; rejects when there are none or nobody answers. */
export type Resolve = (
  name: string,
  type: "A" | "AAAA" | "SRV",
  signal: AbortSignal,
) => Promise<readonly DnsRecord[]>;

/** The part of `node:dns/promises` that is used. */
interface DnsModule {
  readonly Resolver: new (options: { readonly timeout: number; readonly tries: number }) => Resolver;
}

interface Resolver {
  setServers(servers: readonly string[]): void;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  resolveSrv(name: string): Promise<{ readonly name: string; readonly port: number }[]>;
  cancel(): void;
}

const TRIES = 2;

/** Asks by `node:dns`; what it answers rejects with a `CatgaError`, `VALIDATION` where there is no such module. */
export function resolveHere(servers: readonly string[] | undefined, timeout: number): Resolve {
  return async (name, type, signal) => {
    const { Resolver } = builtin<DnsModule>("node:dns/promises", "a resolve function");
    const resolver = new Resolver({ timeout: Math.ceil(timeout / TRIES), tries: TRIES });
    const cancel = (): void => resolver.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      if (servers !== undefined) resolver.setServers(servers);
      if (type === "SRV") {
        return (await resolver.resolveSrv(name)).map(({ name: host, port }) => ({ host, port }));
      }
      const hosts = await (type === "A" ? resolver.resolve4(name) : resolver.resolve6(name));
      return hosts.map((host) => ({ host }));
    } catch (error) {
      throw trouble("UNAVAILABLE", `Cannot resolve ${name} (${type}): ${codeOf(error)}`);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
}
