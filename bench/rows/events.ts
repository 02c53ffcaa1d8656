/** An event store in memory beside Emmett's, and commands decided on it. */
import {
  DeciderCommandHandler,
  type EventStore as EmmettStore,
  getInMemoryEventStore,
} from "@event-driven-io/emmett";
import { memoryEventStore } from "../../adapters/memory/mod.ts";
import { decider, eventSourced, type SourcedEvent } from "../../src/durable/mod.ts";
import { type } from "../../mod.ts";
import { systemRuntime } from "../../src/ports/mod.ts";
import type { Candidate, Candidates } from "../harness/candidate.ts";

const STREAMS = 50;
const EACH = 20;
const LONG = 100;
const runtime = systemRuntime();
const item = { sku: "sku-48151623", quantity: 3, note: "left at the door of the neighbour" };

type Added = SourcedEvent<"cart.added", typeof item>;
const events = { "cart.added": type<typeof item>() };
const added: Added = { type: "cart.added", data: item };

interface Cart {
  readonly items: number;
}
const cart = decider({
  initial: { items: 0 },
  decide: (command: { readonly add: typeof item }) => ({ type: "cart.added", data: command.add }),
  evolve: (state: Cart, { data }: Added): Cart => ({ items: state.items + data.quantity }),
});

/** So many appends to a store that is new each time, by turns to its streams, each where the stream is as expected. */
function appending(make: () => (stream: string, version: number) => Promise<unknown>): Candidate {
  const names = Array.from({ length: STREAMS }, (_, at) => `cart/${at}`);
  const run = async (): Promise<number> => {
    const append = make();
    for (let version = 0; version < EACH; version++) {
      for (const name of names) await append(name, version);
    }
    return STREAMS * EACH;
  };
  return { run, per: STREAMS * EACH, check: (count) => count === STREAMS * EACH };
}

/** What appending costs at least: the text of the event, kept in its stream and among all if the version fits. */
function plainAppend(): (stream: string, version: number) => Promise<number> {
  const streams = new Map<string, string[]>();
  const all: string[] = [];
  return (stream, version) => {
    const kept = streams.get(stream) ?? [];
    if (kept.length !== version) throw new Error("another version");
    const text = JSON.stringify(item);
    kept.push(text);
    all.push(text);
    streams.set(stream, kept);
    return Promise.resolve(kept.length);
  };
}

function ourAppend(): (stream: string, version: number) => Promise<unknown> {
  const store = memoryEventStore(runtime);
  let id = 0;
  return (stream, expected) => {
    const event = { id: `e${id++}`, type: added.type, data: JSON.stringify(added.data) };
    return store.append(stream, [event], { expected });
  };
}

function emmettAppend(): (stream: string, version: number) => Promise<unknown> {
  const store = getInMemoryEventStore();
  return (stream, version) =>
    store.appendToStream(stream, [added], {
      expectedStreamVersion: version === 0 ? "STREAM_DOES_NOT_EXIST" : BigInt(version),
    });
}

/** The state of a stream, over and over. */
async function reading(run: () => Promise<number>): Promise<Candidate> {
  await run();
  return { run, per: LONG, check: (items) => items === 3 * LONG };
}

function plainRead(): Promise<Candidate> {
  const texts = Array.from({ length: LONG }, () => JSON.stringify(item));
  return reading(() => {
    const evolve = (state: Cart, text: string) =>
      cart.evolve(state, { type: added.type, data: JSON.parse(text) });
    return Promise.resolve(texts.reduce(evolve, cart.initial).items);
  });
}

async function ourRead(): Promise<Candidate> {
  const store = memoryEventStore(runtime);
  const carts = eventSourced("cart", { decider: cart, events, store, runtime });
  for (let at = 0; at < LONG; at++) await carts.execute("1", { add: item });
  return reading(async () => (await carts.load("1")).state.items);
}

async function emmettRead(): Promise<Candidate> {
  const store = getInMemoryEventStore();
  await store.appendToStream("cart/1", Array.from({ length: LONG }, () => added));
  const fold = {
    evolve: (state: Cart, event: Added) => cart.evolve(state, event),
    initialState: () => cart.initial,
  };
  return reading(async () => (await store.aggregateStream<Cart, Added>("cart/1", fold)).state.items);
}

/** Twenty commands on each cart of a store that is new each time. */
function ourCommands(): Candidate {
  return appending(() => {
    const carts = eventSourced("cart", { decider: cart, events, store: memoryEventStore(runtime), runtime });
    return async (stream, version) => {
      const executed = await carts.execute(stream, { add: item });
      if (!executed.ok || executed.value.version !== version + 1) throw new Error("another version");
    };
  });
}

function emmettCommands(): Candidate {
  const handle = DeciderCommandHandler<Cart, { readonly add: typeof item } & never, Added, EmmettStore>({
    decide: ((command: { readonly add: typeof item }) => ({ type: added.type, data: command.add })) as never,
    evolve: (state, event) => cart.evolve(state, event),
    initialState: () => cart.initial,
  });
  return appending(() => {
    const store = getInMemoryEventStore();
    return async (stream, version) => {
      const { nextExpectedStreamVersion } = await handle(store, stream, { add: item } as never);
      if (nextExpectedStreamVersion !== BigInt(version + 1)) throw new Error("another version");
    };
  });
}

export const candidates: Candidates = {
  "append: text into arrays": () => appending(plainAppend),
  "append: catga": () => appending(ourAppend),
  "append: Emmett": () => appending(emmettAppend),
  "state of 100: texts of an array": plainRead,
  "state of 100: catga": ourRead,
  "state of 100: Emmett": emmettRead,
  "command: catga": ourCommands,
  "command: Emmett": emmettCommands,
};
