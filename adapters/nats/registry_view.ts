import type { BackendHost } from "../../src/ports/backend.ts";
import type { Entry } from "../../src/ports/store.ts";
import type { Peer } from "../../src/ports/transport.ts";
import { encodeToken } from "./names.ts";

/** How many others are known at most; those that are known stay. */
const MOST = 1024;
/** How long a name may be. */
const NAME = 128;

interface Known {
  readonly peer: Peer;
  readonly revision: number;
}

/** The other nodes, as their records say. A record that is none changes nothing. */
export class RegistryView {
  /** Another array when it has changed, and only then. */
  peers: readonly Peer[] = [];
  readonly #host: BackendHost;
  readonly #known: Map<string, Known> = new Map();
  #crowded = false;

  constructor(host: BackendHost) {
    this.#host = host;
  }

  put(id: string, entry: Entry): void {
    if (this.#put(id, entry)) this.#changed();
  }

  delete(id: string, revision: number): void {
    const known = this.#known.get(id);
    if (known === undefined || known.revision > revision) return;
    this.#known.delete(id);
    this.#changed();
  }

  /** What is known now, to be given to {@linkcode RegistryView.replace}. */
  mark(): ReadonlyMap<string, unknown> {
    return new Map(this.#known);
  }

  /** Takes a whole list. What is not in it goes, unless it was heard of since the mark. */
  replace(
    listed: readonly (readonly [id: string, entry: Entry])[],
    mark: ReadonlyMap<string, unknown>,
  ): void {
    let changed = false;
    const ids = new Set(listed.map(([id]) => id));
    for (const [id, known] of [...this.#known]) {
      if (ids.has(id) || mark.get(id) !== known) continue;
      this.#known.delete(id);
      changed = true;
    }
    for (const [id, entry] of listed) changed = this.#put(id, entry) || changed;
    if (changed) this.#changed();
  }

  /** Answers whether that changes what the others are. */
  #put(id: string, entry: Entry): boolean {
    const endpoint = endpointOf(entry.value);
    if (endpoint === undefined || id === this.#host.self.id || !isName(id)) return false;
    const before = this.#known.get(id);
    if (before !== undefined && before.revision >= entry.revision) return false;
    if (before === undefined && this.#known.size >= MOST) {
      this.#cut();
      return false;
    }
    const same = before?.peer.endpoint === endpoint;
    this.#known.set(id, { peer: { id, endpoint }, revision: entry.revision });
    return !same;
  }

  #changed(): void {
    this.peers = [...this.#known.values()].map(({ peer }) => peer);
  }

  #cut(): void {
    if (this.#crowded) return;
    this.#crowded = true;
    const node = this.#host.self.id;
    this.#host.runtime.log({
      level: "warn",
      event: "registry.cut",
      message: `Node "${node}" knows ${MOST} others and takes in no more: records of others are passed over`,
      fields: { node },
    });
  }
}

function isName(id: string): boolean {
  return id !== "" && id !== "*" && id.length <= NAME;
}

/** The endpoint in a record; `undefined` if it is none that a node can have. */
function endpointOf(value: string): string | undefined {
  try {
    const { endpoint } = JSON.parse(value) as { readonly endpoint?: unknown };
    const fits = typeof endpoint === "string" && endpoint !== "" && endpoint.isWellFormed() &&
      encodeToken(endpoint) !== undefined;
    return fits ? endpoint : undefined;
  } catch {
    return undefined;
  }
}
