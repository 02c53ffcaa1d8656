/**
 * A cluster over HTTP: nodes that know some of each other's addresses, post frames to each other and sign them.
 *
 * Serve the backend's `fetch` beside your own routes; give the backend to `joinCluster`. Beyond one machine every
 * node needs the same secret, and clocks that agree within `window`. A node that starts anew has forgotten which
 * frames it has seen: what was recorded in the `window` before can be replayed to it once. Frames are signed, not
 * encrypted, and answers are not signed: across networks that others can change, use https endpoints.
 *
 * @example
 * ```ts
 * import { http } from "@catga/catga/http";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const backend = http({ peers: ["http://127.0.0.1:5001", "http://127.0.0.1:5002"] });
 * const self = { id: "a", endpoint: "http://127.0.0.1:5001" };
 * const { transport, seeds } = backend.open({ self, runtime: systemRuntime() });
 * console.log(seeds()[0]?.endpoint); // http://127.0.0.1:5002
 *
 * await transport.serve(self, async (frame, reply) => reply(frame));
 * const answer = await backend.fetch(new Request("http://127.0.0.1:5001/catga/v1", { method: "POST" }));
 * console.log(answer.status); // 415: not a frame
 * ```
 *
 * @module
 */
export * from "./http.ts";
