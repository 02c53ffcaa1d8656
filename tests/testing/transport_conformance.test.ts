/** The transports of this library are transports, and what is none is found out. */

import { describe, expect, test } from "bun:test";
import { http, type HttpOptions } from "@catga/catga/http";
import { memory } from "@catga/catga/memory";
import { CatgaError, type SystemCode, systemFault } from "@catga/catga";
import { type Frame, type Peer, type Reply, systemRuntime, type Transport } from "@catga/catga/ports";
import { processRuntime, serve } from "@catga/catga/serve";
import {
  createSimulation,
  transportConformance,
  type TransportNode,
  type TransportUnderTest,
} from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

const SECRET = "correct horse battery staple, 32+";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function inMemory(wrap = (transport: Transport): Transport => transport): Promise<TransportUnderTest> {
  const backend = memory();
  const runtime = systemRuntime();
  const open = (id: string, endpoint = `memory:${id}`): TransportNode => {
    const self = { id, endpoint };
    return { self, transport: wrap(backend.open({ self, runtime }).transport) };
  };
  return Promise.resolve({
    caller: open("a"),
    receiver: open("b"),
    rival: open("rival", "memory:b"),
    nobody: { id: "c", endpoint: "memory:c" },
    pass: sleep,
  });
}

/** Two nodes behind servers of their own on this machine. */
async function overHttp(options: Partial<HttpOptions> = {}): Promise<TransportUnderTest> {
  const runtime = processRuntime({ log: () => {} });
  const start = async (id: string) => {
    const backend = http({ peers: [], ...options });
    const server = await serve(backend.fetch, { port: 0 });
    const self: Peer = { id, endpoint: server.url };
    return { self, server, transport: backend.open({ self, runtime }).transport };
  };
  const [caller, receiver, nobody] = await Promise.all(["a", "b", "c"].map(start));
  await nobody!.server.stop();
  return {
    caller: caller!,
    receiver: receiver!,
    nobody: nobody!.self,
    pass: sleep,
    close: async () => {
      await Promise.all([caller, receiver].map((node) => node!.server.stop({ grace: 100 })));
    },
  };
}

/** Two nodes in a world whose time runs on for as long as a check waits for it. */
function simulated(): Promise<TransportUnderTest> {
  const simulation = createSimulation({ seed: 1, ...(drain === undefined ? {} : { drain }) });
  const network = simulation.network();
  const open = (id: string, endpoint = `sim:${id}`): TransportNode => {
    const self = { id, endpoint };
    return { self, transport: network.backend.open({ self, runtime: simulation.runtime(id) }).transport };
  };
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  let opened = true;
  let until = 0;
  const pump = (async () => {
    while (opened) {
      await simulation.run(Math.max(until - simulation.time, 0.5));
      await turn();
    }
  })();
  return Promise.resolve({
    caller: open("a"),
    receiver: open("b"),
    rival: open("rival", "sim:b"),
    nobody: { id: "c", endpoint: "sim:c" },
    pass: async (ms) => {
      const end = simulation.time + ms;
      until = Math.max(until, end);
      while (opened && simulation.time < end) await turn();
    },
    close: async () => {
      opened = false;
      await pump;
      expect(simulation.pending()).toEqual({ timers: 0, background: 0, exchanges: 0 });
    },
  });
}

describe.each(
  [
    ["memory", () => inMemory(), 20],
    ["HTTP", () => overHttp(), 50],
    ["signed HTTP", () => overHttp({ secret: SECRET }), 50],
    ["the simulated network", simulated, 20],
  ] as const,
)("%s is a transport", (_name, make, pause) => {
  for (const { name, run } of transportConformance(make, { pause })) test(name, run);
});

type Part = Partial<Pick<Transport, "serve" | "exchange">> & Partial<AsyncDisposable>;

/** Transports that are almost right, and the check that each of them fails. */
const broken: readonly [string, string, (right: Transport) => Part][] = [
  ["hands replies on backwards", "replies come in order, all before the end", (right) => ({
    exchange: async (to, frame, reply, options) => {
      const replies: Frame[] = [];
      await right.exchange(to, frame, (each) => void replies.unshift(each), options);
      for (const each of replies) await reply(each);
    },
  })],
  ["keeps replies until the end", "a reply is handed on when it is given, not at the end", (right) => ({
    exchange: async (to, frame, reply, options) => {
      const replies: Frame[] = [];
      await right.exchange(to, frame, (each) => void replies.push(each), options);
      for (const each of replies) await reply(each);
    },
  })],
  [
    "never asks a receiver to wait",
    "a receiver that waits is held back by a caller that takes its time",
    (right) => ({
      serve: (self, receiver) =>
        right.serve(self, (frame, reply, options) => receiver(frame, (each) => void reply(each), options)),
    }),
  ],
  ["does not wait for the caller", "an exchange ends when its last reply is taken", (right) => ({
    exchange: (to, frame, reply, options) => right.exchange(to, frame, (each) => void reply(each), options),
  })],
  [
    "swallows what a caller fails with",
    "a reply that cannot be taken ends the exchange on both sides",
    (right) => ({
      exchange: (to, frame, reply, options) =>
        right.exchange(
          to,
          frame,
          async (each) => await Promise.resolve().then(() => reply(each)).catch(() => {}),
          options,
        ),
    }),
  ],
  [
    "hands on what a caller fails with",
    "a reply that cannot be taken ends the exchange on both sides",
    (right) => ({
      exchange: (to, frame, reply, options) => {
        let own: unknown;
        const take: Reply = async (each) => {
          await Promise.resolve().then(() => reply(each)).catch((thrown) => {
            own = thrown;
            throw thrown;
          });
        };
        return right.exchange(to, frame, take, options).catch((thrown) => Promise.reject(own ?? thrown));
      },
    }),
  ],
  [
    "says UNAVAILABLE of all failures",
    "a receiver that fails is TRANSPORT, whatever it fails with",
    (right) => renaming(right, "UNAVAILABLE"),
  ],
  [
    "says TRANSPORT of all failures",
    "where nobody serves it is UNAVAILABLE",
    (right) => renaming(right, "TRANSPORT"),
  ],
  ["hears of no signal", "who gives up gets CANCELLED at once, and its receiver hears of it", (right) => ({
    exchange: (to, frame, reply) => right.exchange(to, frame, reply),
  })],
  ["sends what was given up before", "a signal that has aborted before sends nothing", (right) => ({
    exchange: (to, frame, reply, options) => {
      if (options?.signal?.aborted) void right.exchange(to, frame, () => {}).catch(() => {});
      return right.exchange(to, frame, reply, options);
    },
  })],
  [
    "tells receivers of no end",
    "who gives up gets CANCELLED at once, and its receiver hears of it",
    (right) => ({
      serve: (self, receiver) =>
        right.serve(self, (frame, reply) => receiver(frame, reply, { signal: new AbortController().signal })),
    }),
  ],
  ["tells receivers of an end that is none", "an exchange that ended well aborts nothing", (right) => ({
    serve: (self, receiver) =>
      right.serve(self, async (frame, reply) => {
        const end = new AbortController();
        await receiver(frame, reply, end).finally(() => end.abort());
      }),
  })],
  [
    "hands on replies after the end",
    "a receiver that goes on when its caller has gone harms nobody",
    (right) => ({
      exchange: (to, frame, reply, options) => {
        const given = new Promise<never>((_, reject) => {
          const abort = () => reject(new CatgaError(systemFault("CANCELLED", "given up")));
          options?.signal?.addEventListener("abort", abort);
        });
        return Promise.race([right.exchange(to, frame, reply), given]);
      },
    }),
  ],
  ["delivers twice", "many at once reach a receiver once each, and get their own replies", (right) => ({
    serve: (self, receiver) =>
      right.serve(self, async (frame, reply, options) => {
        await Promise.all([receiver(frame, reply, options), receiver(frame, () => {}, options)]);
      }),
  })],
  [
    "sends again what may have been received",
    "a receiver that fails amid its replies is TRANSPORT after what it has replied",
    (right) => ({
      exchange: (to, frame, reply, options) =>
        right.exchange(to, frame, reply, options).catch(() => right.exchange(to, frame, reply, options)),
    }),
  ],
  [
    "makes text of bytes",
    "text may be answered with bytes, and bytes with text",
    (right) =>
      carrying(right, (frame) => typeof frame === "string" ? frame : new TextDecoder().decode(frame)),
  ],
  ["takes a byte order mark off", "text and bytes arrive as they were, there and back", (right) =>
    carrying(
      right,
      (frame) =>
        typeof frame === "string" ? new TextDecoder().decode(new TextEncoder().encode(frame)) : frame,
    )],
  [
    "sends the buffer behind bytes",
    "text and bytes arrive as they were, there and back",
    (right) => carrying(right, (frame) => typeof frame === "string" ? frame : new Uint8Array(frame.buffer)),
  ],
  [
    "cuts large frames",
    "the largest frames arrive whole",
    (right) => carrying(right, (frame) => frame.slice(0, 1e6)),
  ],
  [
    "knows nobody without a name",
    "a node whose name is not known yet is reached by its endpoint",
    (right) => ({
      exchange: (to, frame, reply, options) =>
        right.exchange(to.id === "*" ? { ...to, endpoint: "" } : to, frame, reply, options),
    }),
  ],
  ["has one exchange at a time", "of many, those that are given up take no others with them", (right) => {
    let last: Promise<unknown> = Promise.resolve();
    return {
      exchange: (to, frame, reply, options) => {
        const next = last.then(() => right.exchange(to, frame, reply, options));
        last = next.catch(() => {});
        return next;
      },
    };
  }],
  [
    "lets a second receiver take over",
    "a second receiver is refused with CONFLICT, and the first goes on",
    (right) => {
      let served: AsyncDisposable | undefined;
      return {
        serve: async (self, receiver) => {
          await served?.[Symbol.asyncDispose]();
          return served = await right.serve(self, receiver);
        },
      };
    },
  ],
  ["stops whoever serves", "a receiver that serves no more stops nobody who came after it", (right) => {
    let served: AsyncDisposable | undefined;
    return {
      serve: async (self, receiver) => {
        served = await right.serve(self, receiver);
        return { [Symbol.asyncDispose]: () => Promise.resolve(served![Symbol.asyncDispose]()) };
      },
    };
  }],
  ["goes on serving", "a node serves, stops, and serves again", (right) => ({
    serve: async (self, receiver) => {
      await right.serve(self, receiver);
      return { [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  })],
  [
    "does not end",
    "disposing the caller's ends its exchanges with TRANSPORT, and their receivers hear of it",
    () => ({ [Symbol.asyncDispose]: () => Promise.resolve() }),
  ],
  ["waits for exchanges to end", "disposing waits neither for receivers nor for callers", (right) => {
    const open = new Set<Promise<void>>();
    return {
      exchange: (to, frame, reply, options) => {
        const exchange = right.exchange(to, frame, reply, options);
        open.add(exchange);
        return exchange.finally(() => open.delete(exchange));
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.allSettled(open);
        await right[Symbol.asyncDispose]();
      },
    };
  }],
  ["cannot end twice", "disposing twice, at once or later, is the same as once", (right) => {
    let ended = false;
    return {
      [Symbol.asyncDispose]: () => {
        if (ended) throw new Error("It has ended");
        ended = true;
        return Promise.resolve(right[Symbol.asyncDispose]());
      },
    };
  }],
  ["throws where it should reject", "where nobody serves it is UNAVAILABLE", (right) => ({
    exchange: (to, frame, reply, options) => {
      if (to.endpoint === "") throw new TypeError("no endpoint");
      return right.exchange(to, frame, reply, options);
    },
  })],
];

function renaming(right: Transport, code: SystemCode): Part {
  return {
    exchange: (to, frame, reply, options) =>
      right.exchange(to, frame, reply, options).catch(() =>
        Promise.reject(new CatgaError(systemFault(code, "it failed")))
      ),
  };
}

function carrying(right: Transport, change: (frame: Frame) => Frame): Part {
  return {
    exchange: (to, frame, reply, options) =>
      right.exchange(to, change(frame), (each) => reply(change(each)), options),
  };
}

// The suite is the same on every runtime, and so is what it finds out.
describe("a transport is found out that", () => {
  test.each("Bun" in globalThis ? broken : broken.slice(0, 3))("%s", async (_what, name, wrap) => {
    const wrong = (right: Transport): Transport => ({
      name: "wrong",
      serve: right.serve.bind(right),
      exchange: right.exchange.bind(right),
      [Symbol.asyncDispose]: right[Symbol.asyncDispose].bind(right),
      ...wrap(right),
    });
    const check = transportConformance(() => inMemory(wrong), { pause: 5 }).find((each) =>
      each.name === name
    );
    await expect(check!.run()).rejects.toThrow();
  });
});

describe("faults of the original", () => {
  test("F18: nodes of one hub know nothing of those of another, under the same endpoint", async () => {
    const [one, other] = [await inMemory(), await inMemory()];
    await one.receiver.transport.serve(one.receiver.self, async (_frame, reply) => void await reply("one"));
    const ask = async ({ caller, receiver }: TransportUnderTest): Promise<unknown> => {
      const replies: Frame[] = [];
      await caller.transport.exchange(receiver.self, "?", (frame) => void replies.push(frame)).catch(
        ({ code }) => void replies.push(code),
      );
      return replies;
    };
    expect([await ask(one), await ask(other)]).toEqual([["one"], ["UNAVAILABLE"]]);
    await other.receiver.transport.serve(
      other.receiver.self,
      async (_frame, reply) => void await reply("other"),
    );
    expect([await ask(one), await ask(other)]).toEqual([["one"], ["other"]]);
  });
});
