import { expect, test } from "bun:test";
import {
  type BodyIssue,
  command,
  createMediator,
  event,
  fail,
  type Fault,
  handle,
  implement,
  ok,
  on,
  query,
  type Result,
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

const Create = command("create", {
  input: type<{ readonly sku: string }>(),
  output: type<{ readonly id: string }>(),
  errors: { OUT_OF_STOCK: type<{ readonly left: number }>() },
});
const Get = query("get", { input: type<string>(), output: type<number>() });
const Ping = command("ping", { input: type<void>(), output: type<void>() });
const Ticks = stream("ticks", { input: type<number>(), output: type<Date>() });
const Told = event("told", { data: type<{ readonly n: number }>() });

const app = createMediator({
  handlers: [
    handle(Create, ({ sku }) => sku === "" ? fail("OUT_OF_STOCK", { left: 0 }) : { id: sku }),
    handle(Get, (id) => ok(id.length)),
    handle(Ping, () => {}),
    handle(Ticks, async function* () {
      yield new Date(0);
    }),
    on(Told, ({ n }) => void n),
  ],
});

test("a result has the contract's value and failures", async () => {
  const result = await app.send(Create({ sku: "" }));
  same<
    Equal<
      typeof result,
      Result<{ readonly id: string }, Fault<"OUT_OF_STOCK", { readonly left: number }> | SystemFault>
    >
  >();
  if (result.ok) return;
  switch (result.error.code) {
    case "OUT_OF_STOCK":
      same<Equal<typeof result.error.data, { readonly left: number }>>();
      expect(result.error.data.left).toBe(0);
      break;
    case "TIMEOUT":
      same<Equal<typeof result.error.data, unknown>>();
      break;
    // @ts-expect-error the contract has no such failure
    case "NO_SUCH_CODE":
      break;
  }
});

test("a batch has the results of its messages in their places", async () => {
  const [first, second] = await app.sendAll([Get("abc"), Create({ sku: "x" })]);
  same<Equal<typeof first, Result<number, SystemFault>>>();
  expect(unwrap(first)).toBe(3);
  expect(unwrap(second).id).toBe("x");
});

test("a stream has the values of its contract", async () => {
  for await (const tick of app.stream(Ticks(1))) {
    same<Equal<typeof tick, Date>>();
    expect(tick.getTime()).toBe(0);
  }
});

test("a body is needed unless it may be undefined", () => {
  Ping();
  // @ts-expect-error a body is missing
  Create();
  // @ts-expect-error a wrong body
  Create({ sku: 1 });
  expect(Ping().body).toBeUndefined();
});

test("what does not fit a contract does not compile", () => {
  // @ts-expect-error a wrong answer
  handle(Get, () => "text");
  // @ts-expect-error a failure that the contract does not declare
  handle(Get, () => fail("OUT_OF_STOCK", { left: 1 }));
  // @ts-expect-error a failure with other data than declared
  handle(Create, () => fail("OUT_OF_STOCK", { right: 1 }));
  // @ts-expect-error an event has no answer to handle
  handle(Told, () => {});
  // @ts-expect-error a command is not heard
  on(Get, () => {});
  // @ts-expect-error an event is not sent
  const unsent = () => app.send(Told({ n: 1 }));
  // @ts-expect-error a command is not published
  const unpublished = () => app.publish(Get("x"));
  expect([unsent, unpublished]).toHaveLength(2);
});

test("a record of contracts with a missing handler does not compile", () => {
  const contracts = { Create, Get, Told };
  implement(contracts, { Create: () => ({ id: "1" }), Get: () => 1 });
  implement(contracts, { Create: () => ({ id: "1" }), Get: () => 1, Told: ({ n }) => void n });
  // @ts-expect-error Get has no handler
  expect(() => implement(contracts, { Create: () => ({ id: "1" }) })).toThrow('"get"');
  // @ts-expect-error a handler of the wrong type
  implement(contracts, { Create: () => ({ id: 1 }), Get: () => 1 });
});

test("a handler may hand on the failure of a call of the same contract", () => {
  handle(Create, async ({ sku }, context) => {
    const result = await context.send(Create({ sku }));
    return result.ok ? result.value : result;
  });
  const issue: BodyIssue = { message: "x", path: ["a", 0] };
  expect(issue.path).toHaveLength(2);
});
