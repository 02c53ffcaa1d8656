import { expect, test } from "bun:test";
import * as v from "valibot";
import {
  type Args,
  type BodyIssue,
  CatgaError,
  command,
  type Context,
  type Contract,
  createMediator,
  event,
  fail,
  type FailureOf,
  type Fault,
  type FaultOf,
  handle,
  type HandlerFor,
  type HandlersFor,
  implement,
  type Message,
  ok,
  on,
  type OutputOf,
  type ParsedOf,
  query,
  reliableEvent,
  type Result,
  type Results,
  stream,
  type SystemFault,
  type,
  unwrap,
} from "@catga/catga";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
/** Compiles only for `true`. */
function same<T extends true>(): T {
  return true as T;
}

const Trim = command("trim", {
  input: v.object({ name: v.pipe(v.string(), v.transform((name) => name.length)) }),
  output: v.pipe(v.number(), v.transform(String)),
  errors: { NO: v.object({ why: v.string() }), GONE: type<void>() },
});
const Get = query("get", { input: type<string>(), output: type<number>() });
const Now = query("now", { input: type<{ readonly zone: string } | undefined>(), output: type<Date>() });
const Ticks = stream("ticks", { input: type<number>(), output: type<bigint>(), errors: { NO: type<1>() } });
const Told = event("told", { data: v.pipe(v.string(), v.transform(Number)) });
const Kept = reliableEvent("kept", { data: type<readonly string[]>() });

type No = Fault<"NO", { why: string }>;
type Gone = Fault<"GONE", void>;

test("a contract says what goes in, what its handler gets and what comes out", () => {
  same<
    Equal<
      typeof Trim,
      Contract<"command", "trim", { name: string }, { name: number }, string, No | Gone | SystemFault>
    >
  >();
  same<Equal<ParsedOf<typeof Trim>, { name: number }>>();
  same<Equal<Parameters<typeof Trim>, [body: { name: string }]>>();
  same<Equal<OutputOf<ReturnType<typeof Trim>>, string>>();
  same<Equal<FaultOf<ReturnType<typeof Trim>>, No | Gone | SystemFault>>();
  same<Equal<FaultOf<ReturnType<typeof Get>>, SystemFault>>();
  same<Equal<OutputOf<ReturnType<typeof Kept>>, void>>();
  same<Equal<typeof Get.kind, "query">>();
  same<Equal<typeof Get.type, "get">>();
  expect(Trim({ name: "x" }).body).toEqual({ name: "x" });
});

test("a body that may be undefined may be left out", () => {
  same<Equal<Args<undefined>, [body?: undefined]>>();
  same<Equal<Args<string | undefined>, [body?: string | undefined]>>();
  same<Equal<Args<string>, [body: string]>>();
  same<Equal<Args<null>, [body: null]>>();
  expect([Now().body, Now({ zone: "utc" }).body]).toEqual([undefined, { zone: "utc" }]);
  // @ts-expect-error a body is missing
  Get();
  // @ts-expect-error one too many
  Get("a", "b");
});

test("send and its failures narrow by code", async () => {
  const app = createMediator({ handlers: [handle(Trim, () => fail("NO", { why: "no" }))] });
  const result = await app.send(Trim({ name: "x" }));
  same<Equal<typeof result, Result<string, No | Gone | SystemFault>>>();
  if (result.ok) {
    same<Equal<typeof result.value, string>>();
    throw new Error("It should fail");
  }
  // @ts-expect-error a failure has no value
  expect(result.value).toBeUndefined();
  const { error } = result;
  if (error.code === "NO") {
    same<Equal<typeof error, No>>();
    expect(error.data.why).toBe("no");
  } else if (error.code === "GONE") {
    same<Equal<typeof error.data, void>>();
  } else {
    same<Equal<typeof error, SystemFault>>();
    same<
      Equal<
        typeof error.code,
        | "VALIDATION"
        | "NO_HANDLER"
        | "CONFLICT"
        | "TIMEOUT"
        | "CANCELLED"
        | "UNAVAILABLE"
        | "OVERLOADED"
        | "TRANSPORT"
        | "SERIALIZATION"
        | "INTERNAL"
      >
    >();
  }
});

test("one of several messages is answered with what any of them is", async () => {
  const app = createMediator({ handlers: [handle(Get, () => 1), handle(Now, () => new Date(0))] });
  for (const message of [Get("x"), Now()]) {
    const result = await app.send(message);
    same<Equal<typeof result, Result<number | Date, SystemFault>>>();
    expect(result.ok).toBe(true);
  }
});

test("batches keep places, lists stay lists", async () => {
  const app = createMediator({ handlers: [handle(Get, () => 1), handle(Now, () => new Date(0))] });
  const pair = await app.sendAll([Get("x"), Now()]);
  same<Equal<typeof pair, [Result<number, SystemFault>, Result<Date, SystemFault>]>>();
  same<Equal<Results<readonly ReturnType<typeof Get>[]>, Result<number, SystemFault>[]>>();
  const list = await app.sendAll(["a", "b"].map((id) => Get(id)));
  same<Equal<typeof list, Result<number, SystemFault>[]>>();
  const told = await app.publishAll([Told("1"), Kept([])]);
  same<Equal<typeof told, Result<void>[]>>();
  expect([pair.length, list.length, told.length]).toEqual([2, 2, 2]);
  // @ts-expect-error an event is not sent
  const mixed = () => app.sendAll([Get("x"), Told("1")]);
  // @ts-expect-error a stream is not sent
  const streamed = () => app.send(Ticks(1));
  // @ts-expect-error a query is no stream
  const queried = () => app.stream(Get("x"));
  expect([mixed, streamed, queried]).toHaveLength(3);
});

test("a handler gets the body as parsed and its context, and answers what the contract says", () => {
  handle(Trim, (body, context) => {
    same<Equal<typeof body, { name: number }>>();
    same<Equal<typeof context, Context>>();
    return "text";
  });
  handle(Trim, () => Promise.resolve(ok("text")));
  handle(Trim, async ({ name }) => {
    await null;
    return name > 1 ? fail("NO", { why: "long" }) : "text";
  });
  handle(Trim, (_body, context) => context.send(Trim({ name: "x" })));
  // @ts-expect-error what the output schema takes is not what it gives
  handle(Trim, () => 5);
  // @ts-expect-error no answer
  handle(Trim, () => {});
  // @ts-expect-error the data of another code
  handle(Trim, () => fail("GONE", { why: "x" }));
  // @ts-expect-error a promise of a wrong answer
  handle(Trim, () => Promise.resolve(5));
  // @ts-expect-error a result of a wrong answer
  handle(Trim, () => ok(5));
  same<Equal<ReturnType<HandlerFor<typeof Ticks>>, AsyncIterable<bigint>>>();
  // @ts-expect-error one value is no stream of them
  handle(Ticks, () => 1n);
  // @ts-expect-error a stream of something else
  handle(Ticks, async function* () {
    yield "x";
  });
  on(Told, (body) => {
    same<Equal<typeof body, number>>();
  });
  on(Kept, async (body) => {
    same<Equal<typeof body, readonly string[]>>();
    await null;
  });
  expect(handle(Get, () => 1).contract).toBe(Get as never);
});

test("a stream gives what its contract says", async () => {
  const app = createMediator({
    handlers: [handle(Ticks, async function* () {
      yield 1n;
    })],
  });
  const ticks = app.stream(Ticks(1));
  same<Equal<typeof ticks, AsyncIterable<bigint>>>();
  for await (const tick of ticks) expect(tick).toBe(1n);
});

test("a record needs a handler for all but its events, and nothing else", () => {
  const contracts = { Trim, Get, Ticks, Told, Kept };
  type Handlers = HandlersFor<typeof contracts>;
  same<Equal<Exclude<keyof Handlers, never>, "Trim" | "Get" | "Ticks" | "Told" | "Kept">>();
  same<Equal<Handlers["Get"], HandlerFor<typeof Get>>>();
  const needed = {
    Trim: () => "x",
    Get: (id: string) => id.length,
    Ticks: async function* () {
      yield 1n;
    },
  };
  implement(contracts, needed);
  implement(contracts, { ...needed, Told: (n: number) => void n });
  // @ts-expect-error a handler that no contract asks for
  implement(contracts, { ...needed, Toold: () => {} });
  // @ts-expect-error an event's handler of the wrong body
  implement(contracts, { ...needed, Told: (text: string) => void text });
  const { Get: _get, ...without } = needed;
  // @ts-expect-error Get has no handler
  expect(() => implement(contracts, without)).toThrow('"get"');
});

test("what is thrown at the edge has the same fields", () => {
  const error: CatgaError<"NO", { left: number }> = new CatgaError(fail("NO", { left: 1 }).error);
  same<Equal<typeof error.data, { left: number }>>();
  const result = ok(1) as Result<number, No>;
  same<Equal<ReturnType<typeof unwrap<number>>, number>>();
  same<Equal<FailureOf<No | Gone>["error"], No | Gone>>();
  expect([unwrap(result), error.data.left]).toEqual([1, 1]);
  const issue: BodyIssue = { message: "x", path: ["a", 0] };
  // @ts-expect-error plain data only
  const symbol: BodyIssue = { message: "x", path: [Symbol("x")] };
  expect([issue.path.length, symbol.path.length]).toEqual([2, 1]);
});

test("messages put together by hand are messages too", () => {
  const message: Message<"query", "get", string, number, SystemFault> = {
    kind: "query",
    type: "get",
    body: "x",
  };
  expect({ ...Get("x") }).toEqual({ ...message });
  // @ts-expect-error a message cannot be changed
  message.body = "y";
});
