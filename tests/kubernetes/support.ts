import type { Discovery, OpenDiscovery } from "@catga/catga/kubernetes";
import type { LogEntry, Runtime } from "@catga/catga/ports";
import { processRuntime, serve, type Server } from "@catga/catga/serve";

/** One pod of a slice, as the API tells it. */
export interface Pod {
  readonly addresses: readonly string[];
  readonly conditions?: {
    readonly ready?: boolean;
    readonly serving?: boolean;
    readonly terminating?: boolean;
  };
}

export interface SliceSpec {
  readonly addressType?: string;
  readonly endpoints?: readonly Pod[] | null;
  readonly ports?:
    | readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[]
    | null;
}

/** What the API server says of a slice. */
export function slice(name: string, version: number, spec: SliceSpec): Record<string, unknown> {
  return {
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata: {
      name,
      namespace: "shop",
      resourceVersion: String(version),
      labels: { "kubernetes.io/service-name": "orders" },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 5001, protocol: "TCP" }],
    ...spec,
  };
}

export const pods = (...addresses: readonly string[]): readonly Pod[] =>
  addresses.map((address) => ({ addresses: [address], conditions: { ready: true } }));

/** A Kubernetes API server as far as EndpointSlices of one service go. */
export class StandIn {
  /** Accepted tokens; anything goes while there are none. */
  readonly tokens: Set<string> = new Set();
  readonly requests: { readonly url: URL; readonly authorization: string | null }[] = [];
  /** Answers in the place of the API while it answers anything. */
  instead: (url: URL) => Response | undefined = () => undefined;
  /** Versions before this one are forgotten. */
  compacted = 0;
  /** Tells of a forgotten version by an event, as an API server does that has sent its headers. */
  goneByEvent = false;
  version = 100;
  server!: Server;
  readonly #slices = new Map<string, Record<string, unknown>>();
  readonly #history: { readonly version: number; readonly line: string }[] = [];
  readonly #watches = new Set<ReadableStreamDefaultController<Uint8Array>>();

  static async start(): Promise<StandIn> {
    const api = new StandIn();
    api.server = await serve((request) => api.#answer(request), { port: 0 });
    return api;
  }

  get url(): string {
    return this.server.url;
  }

  get watches(): number {
    return this.#watches.size;
  }

  count(kind: "list" | "watch"): number {
    return this.requests.filter(({ url }) => url.searchParams.has("watch") === (kind === "watch")).length;
  }

  put(name: string, spec: SliceSpec): void {
    const type = this.#slices.has(name) ? "MODIFIED" : "ADDED";
    const object = slice(name, ++this.version, spec);
    this.#slices.set(name, object);
    this.#tell({ type, object });
  }

  delete(name: string): void {
    const object = slice(name, ++this.version, {});
    this.#slices.delete(name);
    this.#tell({ type: "DELETED", object });
  }

  bookmark(): void {
    const object = { kind: "EndpointSlice", metadata: { resourceVersion: String(++this.version) } };
    this.#tell({ type: "BOOKMARK", object });
  }

  /** Changes a slice and forgets what happened, as if compacted before anybody was told. */
  change(name: string, spec: SliceSpec): void {
    this.#slices.set(name, slice(name, ++this.version, spec));
    this.compacted = this.version;
  }

  /** Sends anything to all who watch. */
  say(text: string): void {
    const bytes = new TextEncoder().encode(text);
    for (const watch of this.#watches) watch.enqueue(bytes);
  }

  /** Ends all watches, in order or not. */
  end(broken = false): void {
    for (const watch of [...this.#watches]) {
      this.#watches.delete(watch);
      if (broken) watch.error(new Error("broken off"));
      else watch.close();
    }
  }

  async stop(): Promise<void> {
    this.end();
    await this.server.stop({ grace: 100 });
  }

  #tell(event: unknown): void {
    const line = JSON.stringify(event) + "\n";
    this.#history.push({ version: this.version, line });
    this.say(line);
  }

  #answer(request: Request): Response {
    const url = new URL(request.url);
    const authorization = request.headers.get("authorization");
    this.requests.push({ url, authorization });
    const instead = this.instead(url);
    if (instead !== undefined) return instead;
    if (url.pathname !== "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices") return status(404);
    if (url.searchParams.get("labelSelector") !== "kubernetes.io/service-name=orders") return status(400);
    if (this.tokens.size > 0 && !this.tokens.has(authorization?.replace("Bearer ", "") ?? "")) {
      return status(401);
    }
    return url.searchParams.has("watch") ? this.#watch(url) : this.#list(url);
  }

  #list({ searchParams }: URL): Response {
    const from = Number(searchParams.get("continue") ?? 0);
    const limit = Number(searchParams.get("limit") ?? 500);
    const all = [...this.#slices.values()];
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    return Response.json({
      kind: "EndpointSliceList",
      metadata: { resourceVersion: String(this.version), ...more },
      items: all.slice(from, from + limit),
    });
  }

  #watch({ searchParams }: URL): Response {
    const from = Number(searchParams.get("resourceVersion"));
    if (from < this.compacted && !this.goneByEvent) return status(410);
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        const bytes = (text: string) => new TextEncoder().encode(text);
        if (from < this.compacted) {
          const object = { kind: "Status", code: 410, reason: "Expired" };
          controller.enqueue(bytes(JSON.stringify({ type: "ERROR", object }) + "\n"));
          controller.close();
          return;
        }
        this.#watches.add(controller);
        for (const { version, line } of this.#history) if (version > from) controller.enqueue(bytes(line));
      },
      cancel: () => void this.#watches.delete(mine),
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  }
}

export function status(code: number, headers: Record<string, string> = {}): Response {
  return Response.json({ kind: "Status", status: "Failure", code }, { status: code, headers });
}

/** A runtime whose waits after failures are the shortest there are, and its log. */
export function hasty(): { readonly runtime: Runtime; readonly logs: LogEntry[] } {
  const logs: LogEntry[] = [];
  const runtime = processRuntime({ log: (entry) => void logs.push(entry) });
  return { runtime: { ...runtime, random: { u32: () => 0 } }, logs };
}

/** Waits for something to become true; fails after five seconds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited > 5000) throw new Error(`It did not come true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits until exactly these endpoints are known, in any order. */
export async function sees(open: OpenDiscovery, ...endpoints: readonly string[]): Promise<void> {
  const wanted = [...endpoints].sort().join();
  await until(() => [...open.endpoints()].sort().join() === wanted).catch((error) => {
    throw new Error(`It sees ${open.endpoints().slice(0, 9)}, not ${wanted}`, { cause: error });
  });
}

/** Runs a scenario against a stand-in and what looks at it, and ends both. */
export async function against(
  make: (api: StandIn) => Discovery,
  scenario: (
    parts: { readonly api: StandIn; readonly open: OpenDiscovery; readonly logs: readonly LogEntry[] },
  ) => Promise<void>,
  prepare: (api: StandIn) => void = () => {},
): Promise<void> {
  const api = await StandIn.start();
  prepare(api);
  const { runtime, logs } = hasty();
  const open = make(api).open(runtime);
  try {
    await scenario({ api, open, logs });
  } finally {
    await open[Symbol.asyncDispose]();
    await api.stop();
  }
}
