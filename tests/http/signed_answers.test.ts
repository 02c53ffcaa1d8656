/** What somebody on the way can do to the answers of a node, and what becomes of it. */

import { describe, expect, test } from "bun:test";
import { http } from "@catga/catga/http";
import type { Frame, Receiver } from "@catga/catga/ports";
import fc from "fast-check";
import { echo, errorOf, framesOf, open, OTHER_SECRET, pause, realNode, recorder, SECRET } from "./support.ts";

const A = { id: "a", endpoint: "http://127.0.0.1:5001" };
const B = { id: "b", endpoint: "http://127.0.0.1:5002" };
const CRYPTO: [string, boolean][] = [["node:crypto", false], ["web crypto", true]];

/** What the way back does with an answer. */
type Change = (answer: Taken) => Taken | Promise<Taken>;

interface Taken {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

interface Way {
  change: Change;
  readonly answers: Taken[];
  readonly requests: Request[];
}

/** Two nodes with the same secret, and somebody between them. */
async function between(receiver: Receiver, asynchronous = false) {
  const a = http({ peers: [], secret: SECRET });
  const b = http({ peers: [], secret: SECRET });
  const way: Way = { change: (answer) => answer, answers: [], requests: [] };
  const { runtime } = recorder(async (request) => {
    way.requests.push(request.clone() as Request);
    const answer = await b.fetch(request);
    const taken: Taken = {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: new Uint8Array(await answer.arrayBuffer()),
    };
    way.answers.push(taken);
    const { status, headers, body } = await way.change(taken);
    return new Response(status === 204 ? null : body as BodyInit, { status, headers });
  }, asynchronous);
  const transport = await open(a, A, runtime);
  const there = recorder(undefined, asynchronous);
  const served = await open(b, B, there.runtime, receiver);
  return { b, way, transport, served, there };
}

const utf8 = new TextEncoder();
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const said = (text: string) => (answer: Taken): Taken => ({ ...answer, body: utf8.encode(text) });
const onLines = (change: (lines: string[]) => string[]): Change => (answer) => ({
  ...answer,
  body: utf8.encode(change(textOf(answer.body).split("\n").slice(0, -1)).map((line) => `${line}\n`).join("")),
});
const onHeaders = (headers: Record<string, string | undefined>): Change => (answer) => ({
  ...answer,
  headers: Object.fromEntries(
    Object.entries({ ...answer.headers, ...headers }).filter(([, value]) => value !== undefined),
  ) as Record<string, string>,
});

let breaks = (): void => {};
const several: Receiver = async (_frame, reply) => {
  for (const frame of ["1", "two\nlines", "", "4"]) await reply(frame);
};
const slowly = (frames: readonly Frame[]): Receiver => async (_frame, reply) => {
  for (const frame of frames) {
    await reply(frame);
    await pause(2);
  }
};

describe.each(CRYPTO)("answers between nodes with a secret, %s", (_name, asynchronous) => {
  const kinds: [string, Receiver, readonly Frame[]][] = [
    ["nothing", () => Promise.resolve(), []],
    ["one frame", async (_frame, reply) => void (await reply("é\n")), ["é\n"]],
    ["an empty one", async (_frame, reply) => void (await reply("")), [""]],
    ["bytes", async (_frame, reply) => void (await reply(new Uint8Array([0, 255]))), [
      new Uint8Array([0, 255]),
    ]],
    ["a long one", async (_frame, reply) => void (await reply("é\n".repeat(5000))), ["é\n".repeat(5000)]],
    ["several frames at once", several, ["1", "two\nlines", "", "4"]],
    ["a stream", slowly(["1", "2\n", "", "é😀"]), ["1", "2\n", "", "é😀"]],
    [
      "a stream of bytes",
      slowly([new Uint8Array([1]), new Uint8Array(), new Uint8Array(70_000).fill(7)]),
      [new Uint8Array([1]), new Uint8Array(), new Uint8Array(70_000).fill(7)],
    ],
    [
      "a stream that is in a hurry",
      async (_frame, reply) => {
        void reply("0");
        await pause(5);
        for (let n = 1; n < 50; n++) void reply(`${n}`);
      },
      Array.from({ length: 50 }, (_, n) => `${n}`),
    ],
  ];
  test.each(kinds)("come through: %s", async (_what, receiver, frames) => {
    const { transport } = await between(receiver, asynchronous);
    expect(await framesOf(transport, B, "{}")).toEqual([...frames]);
  });

  test.each(kinds)("come through a real server: %s", async (_what, receiver, frames) => {
    const there = await realNode("there", receiver, { secret: SECRET });
    const here = http({ peers: [], secret: SECRET });
    const transport = await open(here, A, recorder(undefined, asynchronous).runtime);
    expect(await framesOf(transport, there.peer, "{}")).toEqual([...frames]);
    await there.server.stop({ grace: 100 });
  });

  const forgeries: [string, Receiver, Change][] = [
    ["another body", echo, said('{"n":8}')],
    [
      "another long body",
      async (_frame, reply) => void (await reply("x".repeat(5000))),
      said("y".repeat(5000)),
    ],
    [
      "half a long body",
      async (_frame, reply) => void (await reply("x".repeat(4096))),
      said("x".repeat(2048)),
    ],
    ["an empty body", echo, said("")],
    ["no body at all", echo, (answer) => ({ ...answer, status: 204, body: new Uint8Array() })],
    ["no signature", echo, onHeaders({ "catga-auth": undefined })],
    ["an empty signature", echo, onHeaders({ "catga-auth": "" })],
    ["the signature of unsigned frames", echo, onHeaders({ "catga-auth": "none" })],
    ["text that is said to be bytes", echo, onHeaders({ "content-type": "application/octet-stream" })],
    ["a frame that is said to be a stream", echo, onHeaders({ "catga-frames": "lines" })],
    [
      "a body for nothing",
      () => Promise.resolve(),
      (answer) => ({ ...answer, status: 200, body: utf8.encode("1") }),
    ],
    ["no signature for nothing", () => Promise.resolve(), onHeaders({ "catga-auth": undefined })],
    ["a stream said to be one frame", several, onHeaders({ "catga-frames": "whole" })],
    ["another frame", several, onLines(([one, ...rest]) => [one!.slice(0, -1) + "7", ...rest])],
    [
      "another signature",
      several,
      onLines(([one, ...rest]) => [one!.replace(/\+./, (sign) => sign === "+_" ? "+-" : "+_"), ...rest]),
    ],
    ["a stream without its first frame", several, onLines(([, ...rest]) => rest)],
    ["a stream without its last frame", several, onLines((all) => all.filter((_, at) => at !== 3))],
    ["a stream without its end", several, onLines((all) => all.slice(0, -1))],
    ["a stream without its signed end", several, onLines((all) => all.filter((_, at) => at !== 4))],
    ["a stream that ends early", several, onLines((all) => [...all.slice(0, 2), "."])],
    ["an end that comes early", several, onLines((all) => [all[0]!, all[4]!, "."])],
    ["a frame twice", several, onLines(([one, ...rest]) => [one!, one!, ...rest])],
    ["frames in another order", several, onLines(([one, two, ...rest]) => [two!, one!, ...rest])],
    ["an unsigned frame", several, onLines((all) => [...all.slice(0, 4), " 5", ...all.slice(4)])],
    ["a frame behind the end", several, onLines((all) => [...all.slice(0, 5), all[0]!, "."])],
    ["an end with more in it", several, onLines((all) => [...all.slice(0, 4), `${all[4]}x`, "."])],
    ["nothing but a mark", several, onLines(() => ["."])],
  ];
  test.each(forgeries)("are TRANSPORT: %s", async (_what, receiver, change) => {
    const { way, transport } = await between(receiver, asynchronous);
    const honest = await framesOf(transport, B, '{"n":1}');
    way.change = change;
    const got: Frame[] = [];
    const error = await errorOf(transport.exchange(B, '{"n":1}', (frame) => void got.push(frame)));
    expect(error.code).toBe("TRANSPORT");
    expect(got as unknown[]).toEqual(honest.slice(0, got.length));
  });

  test.each(
    [["one frame", echo], ["several", several], ["none", () => Promise.resolve()]] as [string, Receiver][],
  )(
    "are TRANSPORT when they belong to another request: %s",
    async (_what, receiver) => {
      const { way, transport } = await between(receiver, asynchronous);
      await framesOf(transport, B, "{}");
      way.change = () => way.answers[0]!;
      const got: Frame[] = [];
      const error = await errorOf(transport.exchange(B, "{}", (frame) => void got.push(frame)));
      expect(error.code).toBe("TRANSPORT");
      expect(got).toEqual([]);
    },
  );

  test.each([[400], [401], [404], [405], [409], [413], [415], [500], [503]])(
    "that say %d without a signature prove nothing: TRANSPORT",
    async (status) => {
      const { way, transport } = await between(echo, asynchronous);
      way.change = onHeaders({ "catga-auth": undefined, "catga-frames": "none", "retry-after": "3" });
      const change = way.change;
      way.change = async (answer) => ({ ...await change(answer), status });
      const error = await errorOf(transport.exchange(B, "{}", () => {}));
      expect(error.code).toBe("TRANSPORT");
      expect(error.message).toMatch(/without a signature that fits/);
      expect(error.data).toEqual({ retryAfter: 3000 });
      // Nor does the signature of another answer.
      way.change = (answer) => ({ ...answer, status });
      expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
    },
  );

  test("of a node that has left are signed, and true for good", async () => {
    const seen: Frame[] = [];
    const { b, way, transport, served, there } = await between((frame, reply, options) => {
      seen.push(frame);
      return echo(frame, reply, options);
    }, asynchronous);
    await served[Symbol.asyncDispose]();
    const error = await errorOf(transport.exchange(B, "{}", () => {}));
    expect(error.code).toBe("UNAVAILABLE");
    expect(error.message).toMatch(/answered 503/);
    way.change = (answer) => ({ ...answer, status: 204, body: new Uint8Array() });
    expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
    await open(b, B, there.runtime, (frame, reply, options) => {
      seen.push(frame);
      return echo(frame, reply, options);
    });
    expect((await b.fetch(way.requests[0]!)).status).toBe(409);
    expect(seen).toEqual([]);
    way.change = () => way.answers[0]!;
    expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
    expect(seen).toEqual(["{}"]);
  });

  test("of a node that cannot read a frame are signed", async () => {
    const { transport } = await between(
      () => Promise.reject(Object.assign(new Error("no"), {})),
      asynchronous,
    );
    const failed = await errorOf(transport.exchange(B, "{}", () => {}));
    expect(failed.code).toBe("TRANSPORT");
    expect(failed.message).not.toMatch(/signature/);
  });

  test("are signed with the key of the request, whichever is the newer", async () => {
    const old = http({ peers: [], secret: SECRET });
    const both = http({ peers: [], secret: [OTHER_SECRET, SECRET] });
    const { runtime } = recorder((request) => both.fetch(request), asynchronous);
    const transport = await open(old, A, runtime);
    await open(both, B, recorder(undefined, asynchronous).runtime, several);
    expect(await framesOf(transport, B, "{}")).toHaveLength(4);
  });

  test("of a receiver that fails in the middle, and one that goes on after it was left", async () => {
    const { transport } = await between(async (_frame, reply) => {
      await reply("1");
      await pause(5);
      throw new Error("detail");
    }, asynchronous);
    const got: Frame[] = [];
    const error = await errorOf(transport.exchange(B, "{}", (frame) => void got.push(frame)));
    expect(error.code).toBe("TRANSPORT");
    expect(error.message).toMatch(/failed while it answered/);
    expect(got).toEqual(["1"]);
  });

  test("whichever byte is another, only what was said is handed on, in order", async () => {
    for (
      const receiver of [several, slowly([new Uint8Array([1, 2]), new Uint8Array(), new Uint8Array([3])])]
    ) {
      const { way, transport } = await between(receiver, asynchronous);
      const honest = await framesOf(transport, B, "{}");
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, by, cut) => {
          let changed = true;
          way.change = (answer) => {
            const body = cut ? answer.body.slice(0, at % answer.body.length) : answer.body.slice();
            if (!cut) body[at % body.length]! ^= by;
            // What stands behind the end mark is not read.
            changed = textOf(body).trimEnd() !== textOf(answer.body).trimEnd();
            return { ...answer, body };
          };
          const got: Frame[] = [];
          const outcome = await transport.exchange(B, "{}", (frame) => void got.push(frame)).then(
            () => "well",
            (error) => error.code,
          );
          expect(got as unknown[]).toEqual(honest.slice(0, got.length));
          if (changed || got.length < honest.length) expect(outcome).toBe("TRANSPORT");
        }),
        { numRuns: 60 },
      );
    }
  });
});

test.each<[string, Receiver]>([
  ["one frame", echo],
  ["several", several],
  ["a stream", slowly(["1", "2", "3"])],
  ["the end of a stream", async (_frame, reply) => {
    await reply("1");
    await pause(5);
    breaks();
  }],
])(
  "a signature that cannot be made fails the answer and leaves nobody waiting: %s",
  async (_what, receiver) => {
    const a = http({ peers: [], secret: SECRET });
    const b = http({ peers: [], secret: SECRET });
    const { runtime } = recorder((request) => b.fetch(request));
    const there = recorder(undefined, true);
    const { crypto } = there.runtime;
    let broken = false;
    breaks = () => broken = true;
    const hmac = (key: string, text: string) =>
      broken ? Promise.reject(new Error("no key")) : crypto.hmac(key, text);
    const transport = await open(a, A, runtime);
    await open(b, B, { ...there.runtime, crypto: { ...crypto, hmac } }, (frame, reply, options) => {
      if (receiver === echo || receiver === several) breaks();
      else setTimeout(breaks, 3);
      return receiver(frame, reply, options);
    });
    expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
    await pause(10);
  },
);

test("without a secret nothing is signed", async () => {
  const a = http({ peers: [] });
  const b = http({ peers: [] });
  const seen: Response[] = [];
  const { runtime } = recorder(async (request) => {
    const answer = await b.fetch(request);
    seen.push(answer.clone() as Response);
    return answer;
  });
  const transport = await open(a, A, runtime);
  await open(b, B, recorder().runtime, several);
  expect(await framesOf(transport, B, "{}")).toHaveLength(4);
  expect(seen[0]!.headers.get("catga-auth")).toBeNull();
  expect(await seen[0]!.text()).toBe(' 1\n"two\\nlines"\n \n 4\n.\n');
});

test.each(CRYPTO)(
  "text and bytes in one stream end it at once, while its receiver goes on, %s",
  async (_name, asynchronous) => {
    for (const secret of [undefined, SECRET]) {
      const options = { peers: [], ...(secret === undefined ? {} : { secret }) };
      const a = http(options);
      const b = http(options);
      const { runtime } = recorder((request) => b.fetch(request), asynchronous);
      const transport = await open(a, A, runtime);
      let end = (): void => {};
      const there = recorder(undefined, asynchronous);
      await open(b, B, there.runtime, async (_frame, reply) => {
        void reply("text");
        void reply(new Uint8Array(1));
        await new Promise<void>((resolve) => end = resolve);
      });
      expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
      end();
      await pause(5);
      expect(there.logs.map(({ event }) => event)).toEqual(["receiver.failed"]);
    }
  },
);
