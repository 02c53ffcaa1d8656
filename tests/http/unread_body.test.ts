/** Bodies that are not read must not keep their connections. */

import { expect, test } from "bun:test";
import { http } from "@catga/catga/http";
import type { FetchReply } from "@catga/catga/ports";
import { errorOf, open, recorder } from "./support.ts";

const A = { id: "a", endpoint: "http://127.0.0.1:5001" };
const B = { id: "b", endpoint: "http://127.0.0.1:5002" };

test.each([[403], [503], [200]])(
  "a body of Node's that comes with %d from no node is destroyed",
  async (status) => {
    const ended: string[] = [];
    const body = {
      // As Node's own, whose `finally` is not reached when nothing was read before it is left.
      [Symbol.asyncIterator]: async function* () {
        try {
          yield new Uint8Array(1);
        } finally {
          ended.push("left");
        }
      },
      on: (event: string) => void ended.push(event),
      destroy: () => void ended.push("destroyed"),
    };
    const text = () => Promise.reject(new Error("it was read"));
    const reply: FetchReply = { status, headers: { get: () => null }, body, text };
    const { runtime } = recorder();
    const transport = await open(http({ peers: [] }), A, { ...runtime, fetch: () => Promise.resolve(reply) });
    expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
    expect(ended).toEqual(["error", "destroyed"]);
  },
);
