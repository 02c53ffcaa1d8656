/**
 * A cluster over HTTP: nodes that know some of each other's addresses, post frames to each other and sign them.
 *
 * Serve the backend's `fetch` beside your own routes; give the backend to `joinCluster`. Beyond one machine every
 * node needs the same secret, and clocks that agree within `window`. A node that starts anew has forgotten which
 * frames it has seen: what was recorded in the `window` before can be replayed to it once.
 *
 * With a secret answers are signed as well, each for the one request that it answers: a body with its status, a stream
 * frame by frame with its end. What is forged, swapped, replayed or cut is `TRANSPORT`, and of a stream no frame behind
 * the fault is handed on. A refusal proves that a frame was not taken only where it is signed, as by a node that is
 * leaving; any other, such as a gateway's or that of a node with another secret or another name, is `TRANSPORT` too.
 * Nothing is encrypted: across networks that others can read, use https endpoints.
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
