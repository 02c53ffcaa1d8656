import type { NatsConnection } from "@nats-io/nats-core";
import type { Runtime } from "../../src/ports/runtime.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { Asks } from "./asks.ts";
import { cannotConnect } from "./connection_fault.ts";
import { knownHoles } from "./connection_holes.ts";
import { jetstreamOf } from "./connection_jetstream.ts";
import { connected, type NatsTarget } from "./connection_made.ts";
import type { NatsOptions } from "./connection_options.ts";
import { ConnectionStatus, type NatsStatus } from "./connection_status.ts";
import type { JetStreamLink, Link } from "./link.ts";
import { randomToken } from "./random_token.ts";

/** A link that can be closed. */
export interface OpenLink extends Link, AsyncDisposable {
  readonly status: NatsStatus;
  /** Hears of each change of the status; answers what ends that. */
  onStatus(listener: (status: NatsStatus) => void): () => void;
}

/** Connects, and sees what the server can do. Rejects with a `CatgaError`: `VALIDATION`, `CONFLICT`, `UNAVAILABLE`. */
export async function openLink(target: NatsTarget, options: NatsOptions = {}): Promise<OpenLink> {
  const { cluster = "main", runtime = systemRuntime() } = options;
  if (!/^[A-Za-z0-9-]{1,32}$/.test(cluster)) {
    throw cannotConnect(
      "VALIDATION",
      `cluster is ${JSON.stringify(cluster).slice(0, 80)}, but must be 1 to 32 letters, digits and hyphens`,
    );
  }
  const { connection, mine, release } = await connected(target, options, runtime);
  const status = new ConnectionStatus(connection, runtime);
  warnOfHoles(connection, runtime);
  status.listen((now) => now === "connected" && warnOfHoles(connection, runtime));
  const asks = new Asks(
    connection,
    runtime.clock,
    `catga.${cluster}.r.${randomToken(runtime.random)}`,
    () => status.current === "connected",
  );
  status.listen((now) => now !== "connected" && asks.lose());
  status.listenForbidden((subject) => asks.forbid(subject));
  void connection.closed().then(release);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    status.closing();
    if (!mine) release();
    return closing ??= mine ? connection.close().catch(() => {}) : asks.close();
  };
  let kept: JetStreamLink | undefined;
  try {
    kept = await jetstreamOf(connection, asks, options);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    connection,
    runtime,
    name: cluster,
    jetstream: kept,
    get up() {
      return status.current === "connected";
    },
    get status() {
      return status.current;
    },
    onStatus: (listener) => status.listen(listener),
    onReconnect: (run) => status.listen((now) => now === "connected" && run()),
    onAway: (run) => status.listen((now) => now !== "connected" && run()),
    onForbidden: (run) => status.listenForbidden(run),
    ask: (subject, payload, askOptions) => asks.ask(subject, payload, askOptions),
    askFor: (asker, subject, payload, askOptions) => asks.askFor(asker, subject, payload, askOptions),
    [Symbol.asyncDispose]: close,
  };
}

/** Says what a server of this version is known for; less loud where nobody beyond this machine reaches it. */
function warnOfHoles({ info }: NatsConnection, runtime: Runtime): void {
  if (info === undefined) return;
  const holes = knownHoles(info.version, true);
  if (holes.length === 0) return;
  const message = `nats-server ${info.version} has known holes: ${holes.join("; ")}`;
  const level = /^(?:127\.|::1$)/.test(info.client_ip ?? "") ? "info" : "warn";
  runtime.log({ level, event: "nats.holes", message, fields: { version: info.version, holes } });
}
