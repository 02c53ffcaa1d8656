import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import {
  CatgaError,
  command,
  createMediator,
  event,
  fail,
  failure,
  handle,
  implement,
  isResult,
  type LogEntry,
  ok,
  on,
  query,
  systemFault,
  type,
  unwrap,
} from "@catga/catga";
import { systemRuntime } from "@catga/catga/ports";

const Ask = command("ask", {
  input: type<string>(),
  output: type<unknown>(),
  errors: { REFUSED: type<{ readonly why: string }>() },
});

/** A mediator with one handler, and what it logged. */
function answering(handler: (how: string, context: import("@catga/catga").Context) => unknown) {
  const log: LogEntry[] = [];
  const runtime = systemRuntime({ log: (entry) => log.push(entry) });
  const app = createMediator({ handlers: [handle(Ask, handler as never)], runtime });
  const ask = async (how: string) => {
    const result = await app.send(Ask(how));
    return result.ok ? result.value : result.error;
  };
  return { app, ask, log };
}

describe("what a handler comes to", () => {
  const { ask, log } = answering((how) => {
    switch (how) {
      case "value":
        return 1;
      case "promise":
        return Promise.resolve(2);
      case "thenable":
        return { then: (resolve: (value: number) => void) => resolve(3) };
      case "ok":
        return ok(4);
      case "look-alike":
        return { ok: true, value: 5 };
      case "undefined":
        return undefined;
      case "fail":
        return fail("REFUSED", { why: "no" });
      case "rejected fail":
        return Promise.reject(new CatgaError(fail("REFUSED", { why: "no" }).error));
      case "throw":
        throw new Error("secret");
      case "throw text":
        throw "secret";
      case "throw nothing":
        throw undefined;
      case "reject":
        return Promise.reject(new Error("secret"));
      default:
        return null;
    }
  });

  test.each([
    ["value", 1],
    ["promise", 2],
    ["thenable", 3],
    ["ok", 4],
    ["look-alike", { ok: true, value: 5 }],
    ["undefined", undefined],
    ["other", null],
  ])("%s is a success", async (how, value) => {
    expect(await ask(how)).toEqual(value as never);
  });

  test.each(["fail", "rejected fail"])("%s is the contract's own failure", async (how) => {
    expect(await ask(how)).toMatchObject({ code: "REFUSED", data: { why: "no" }, retryable: false });
  });

  test.each(["throw", "throw text", "throw nothing", "reject"])(
    "%s is INTERNAL, logged with its cause",
    async (how) => {
      log.length = 0;
      const fault = await ask(how) as { code: string; message: string };
      expect(fault.code).toBe("INTERNAL");
      expect(fault.message).not.toContain("secret");
      expect(log.map(({ level, event }) => [level, event])).toEqual([["error", "handler.failed"]]);
      expect(log[0]!.fields!["cause"]).toBeDefined();
    },
  );

  test("a failure of a call of its own does not look as if the handler had not started", async () => {
    const inner = answering((how) =>
      how === "returned"
        ? failure(systemFault("UNAVAILABLE", "nobody there"))
        : unwrap(failure(systemFault("NO_HANDLER", "none")))
    );
    expect(await inner.ask("returned")).toMatchObject({ code: "INTERNAL", retryable: true });
    expect(await inner.ask("thrown")).toMatchObject({ code: "INTERNAL", retryable: false });
  });
});

describe("results", () => {
  test("unwrap gives the value or throws the fault", () => {
    expect(unwrap(ok(1))).toBe(1);
    const fault = fail("REFUSED", { why: "no" }, "Refused for a reason").error;
    const thrown = (() => {
      try {
        return unwrap(failure(fault));
      } catch (error) {
        return error;
      }
    })();
    expect(CatgaError.is(thrown)).toBe(true);
    expect(thrown).toMatchObject({ code: "REFUSED", data: { why: "no" }, message: "Refused for a reason" });
    expect(JSON.parse(JSON.stringify(thrown))).toEqual(fault as never);
    expect(CatgaError.is(new Error("x"))).toBe(false);
  });

  test("only what ok and fail made is a result", () => {
    expect([ok(1), fail("X"), { ok: true, value: 1 }, null, 5].map(isResult)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe("messages", () => {
  test("are plain data", () => {
    const message = Ask("x");
    expect(JSON.parse(JSON.stringify(message))).toEqual({ kind: "command", type: "ask", body: "x" });
    expect(Object.keys(message)).toEqual(["kind", "type", "body"]);
    expect(message).toEqual(Ask("x"));
  });

  test.each(["", "1x", "a b", "a/b", "x".repeat(200), "__proto__"])("cannot be named %j", (name) => {
    expect(() => query(name, { input: type<void>(), output: type<void>() })).toThrow(RangeError);
  });

  test("a timeout of nothing is refused", () => {
    expect(() => query("x", { input: type<void>(), output: type<void>(), timeout: 0 })).toThrow(
      "timeout is 0",
    );
  });
});

describe("start", () => {
  const One = query("one", { input: type<void>(), output: type<number>() });
  const Told = event("told", { data: type<void>() });
  const code = (run: () => unknown): string => {
    try {
      run();
      return "fine";
    } catch (thrown) {
      return `${(thrown as CatgaError).code} ${(thrown as Error).message}`;
    }
  };

  test("a doubled handler is a CONFLICT by name", () => {
    expect(code(() => createMediator({ handlers: [handle(One, () => 1), [[handle(One, () => 2)]]] })))
      .toBe('CONFLICT Cannot register "one": it already has a handler');
  });

  test("one name for two kinds is a CONFLICT", () => {
    const Same = event("one", { data: type<void>() });
    expect(code(() => createMediator({ handlers: [handle(One, () => 1), on(Same, () => {})] }))).toContain(
      "CONFLICT",
    );
  });

  test("an event may have several handlers", () => {
    expect(code(() => createMediator({ handlers: [on(Told, () => {}), on(Told, () => {})] }))).toBe("fine");
  });

  test("a missing handler is found by name", () => {
    expect(code(() => createMediator({ handlers: [], contracts: { One, Told } }))).toContain(
      'NO_HANDLER Cannot create the mediator: "one"',
    );
    expect(code(() => implement({ One }, {} as never))).toContain('NO_HANDLER Cannot implement "one"');
    expect(
      code(() => createMediator({ handlers: implement({ One, Told }, { One: () => 1 }), contracts: [One] })),
    ).toBe("fine");
  });

  test("a handler that is no function is refused", () => {
    expect(() => handle(One, 5 as never)).toThrow(TypeError);
  });

  test("nobody there, and closed", async () => {
    const app = createMediator({ handlers: [handle(One, () => 1)] });
    const Other = query("other", { input: type<void>(), output: type<number>() });
    expect(await app.send(Other())).toMatchObject({ ok: false, error: { code: "NO_HANDLER" } });
    await app[Symbol.asyncDispose]();
    expect(await app.send(One())).toMatchObject({ ok: false, error: { code: "UNAVAILABLE" } });
    expect(await app.publish(Told())).toMatchObject({ ok: false, error: { code: "UNAVAILABLE" } });
  });

  test("names of prototypes are no handlers", async () => {
    const app = createMediator({ handlers: [handle(One, () => 1)] });
    for (const name of ["constructor", "toString", "__proto__"]) {
      expect(await app.send({ kind: "query", type: name, body: undefined })).toMatchObject({
        error: { code: "NO_HANDLER" },
      });
    }
  });
});

describe("validation", () => {
  const Trim = command("trim", {
    input: v.object({
      name: v.pipe(v.string(), v.trim(), v.minLength(1), v.transform((name) => `<${name}>`)),
    }),
    output: type<string>(),
  });
  const app = createMediator({ handlers: [handle(Trim, ({ name }) => name)] });

  test("gives the handler what the schema gave back, once", async () => {
    expect(unwrap(await app.send(Trim({ name: " x " })))).toBe("<x>");
  });

  test("says what is wrong and where", async () => {
    const result = await app.send(Trim({ name: "  " }));
    expect(result).toMatchObject({
      ok: false,
      error: { code: "VALIDATION", data: { issues: [{ path: ["name"] }] } },
    });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result as never);
  });

  test("waits for a schema that takes its time", async () => {
    const Slow = command("slow", {
      input: v.pipeAsync(v.number(), v.checkAsync((n) => Promise.resolve(n > 0), "too small")),
      output: type<number>(),
    });
    const slow = createMediator({ handlers: [handle(Slow, (n) => n)] });
    expect(unwrap(await slow.send(Slow(1)))).toBe(1);
    expect(await slow.send(Slow(-1))).toMatchObject({ error: { code: "VALIDATION" } });
  });
});
