import type { Peer, Transport } from "../ports/transport.ts";
import type { ConformanceCheck } from "./store_conformance.ts";
import { endChecks } from "./transport_end_checks.ts";
import { frameChecks } from "./transport_frame_checks.ts";
import { lifeChecks } from "./transport_life_checks.ts";
import { replyChecks } from "./transport_reply_checks.ts";
import { serveChecks } from "./transport_serve_checks.ts";
import { TransportTrial } from "./transport_trial.ts";

/** A node and its way to others. */
export interface TransportNode {
  /** How others reach it. */
  readonly self: Peer;
  /** Its way to others; serves nobody yet. */
  readonly transport: Transport;
}

/** Two nodes that reach each other, to be looked at. */
export interface TransportUnderTest {
  /** The node that sends. */
  readonly caller: TransportNode;
  /** The node that is sent to. */
  readonly receiver: TransportNode;
  /** Where no node is. */
  readonly nobody: Peer;
  /** Another node's way, with the endpoint of the receiver; left out where no two nodes can have the same. */
  readonly rival?: TransportNode;
  /** Lets so many ms pass by the transport's clock; where time is real, it sleeps. */
  pass(ms: number): Promise<void>;
  /** Ends what was begun for it, beside the transports: those are disposed before. */
  close?(): Promise<void>;
}

/** What {@linkcode transportConformance} takes. */
export interface TransportConformanceOptions {
  /** How long a check waits to see that something does not happen, in ms: longer where a transport is slow. @default 50 */
  readonly pause?: number;
  /** The size of the largest frame, in bytes. @default 1048576 */
  readonly size?: number;
}

/**
 * The checks that every transport has to pass, as data, for any test runner. They take a network that loses, doubles
 * and reorders nothing.
 *
 * @param make makes what a check looks at, once for each
 *
 * @example
 * ```ts
 * import { memory } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { transportConformance, type TransportNode } from "@catga/catga/testing";
 *
 * const runtime = systemRuntime();
 * const checks = transportConformance(() => {
 *   const backend = memory();
 *   const open = (id: string): TransportNode => {
 *     const self = { id, endpoint: `memory:${id}` };
 *     return { self, transport: backend.open({ self, runtime }).transport };
 *   };
 *   return Promise.resolve({
 *     caller: open("a"),
 *     receiver: open("b"),
 *     nobody: { id: "c", endpoint: "memory:c" },
 *     pass: (ms) => new Promise((resolve) => void runtime.clock.timer(ms, resolve)),
 *   });
 * });
 * for (const { name, run } of checks.slice(0, 3)) await run().then(() => console.log("kept:", name));
 * ```
 */
export function transportConformance(
  make: () => Promise<TransportUnderTest>,
  options: TransportConformanceOptions = {},
): readonly ConformanceCheck[] {
  const { pause = 50, size = 1024 * 1024 } = options;
  const all = { ...frameChecks, ...replyChecks, ...endChecks, ...serveChecks, ...lifeChecks };
  return Object.entries(all).map(([name, check]) => ({
    name,
    run: async () => {
      const subject = await make();
      const trial = new TransportTrial(subject, pause, size);
      const close = (): Promise<void> => trial.close().finally(() => subject.close?.());
      try {
        await check(trial);
        await trial.pause();
        trial.judge();
      } catch (thrown) {
        await close().catch(() => {});
        throw thrown;
      }
      await close();
    },
  }));
}
