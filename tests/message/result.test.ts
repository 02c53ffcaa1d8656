import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  CatgaError,
  fail,
  failure,
  type Fault,
  faultOf,
  isResult,
  ok,
  type SystemCode,
  systemFault,
  unwrap,
} from "@catga/catga";

const fault: fc.Arbitrary<Fault> = fc.record({
  code: fc.string(),
  message: fc.string(),
  data: fc.jsonValue(),
  retryable: fc.boolean(),
});
const thrownBy = (run: () => unknown): unknown => {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("It threw nothing");
};

describe("results", () => {
  test("ok, fail and failure make results, whatever is in them; nothing else is one", () => {
    fc.assert(fc.property(fc.anything(), (value) => {
      expect(isResult(ok(value))).toBe(true);
      expect(isResult({ ok: true, value })).toBe(false);
      expect(isResult(value)).toBe(false);
    }));
    expect([isResult(fail("X")), isResult(failure(systemFault("TIMEOUT", "x")))]).toEqual([true, true]);
  });

  test("are plain data in print and on the wire", () => {
    expect(JSON.stringify(ok({ n: 1 }))).toBe('{"ok":true,"value":{"n":1}}');
    expect(JSON.parse(JSON.stringify(fail("NO", { n: 1 })))).toEqual({
      ok: false,
      error: { code: "NO", message: "NO", data: { n: 1 }, retryable: false },
    });
    expect(Object.keys(ok(1))).toEqual(["ok", "value"]);
  });

  test("fail takes the code as its message where none is given", () => {
    expect(fail("NO").error).toEqual({ code: "NO", message: "NO", data: undefined, retryable: false });
    expect(fail("NO", 1, "Because").error.message).toBe("Because");
  });

  test("unwrap gives the value, or throws the fault as an Error", () => {
    fc.assert(fc.property(fc.anything(), fault, (value, error) => {
      expect(unwrap(ok(value))).toBe(value);
      const thrown = thrownBy(() => unwrap(failure(error)));
      expect(thrown).toBeInstanceOf(CatgaError);
      expect((thrown as CatgaError).toJSON()).toEqual(error);
      expect((thrown as CatgaError).message).toBe(error.message);
    }));
  });
});

describe("faults", () => {
  const codes: readonly (readonly [SystemCode, boolean])[] = [
    ["VALIDATION", false],
    ["NO_HANDLER", false],
    ["CONFLICT", false],
    ["TIMEOUT", true],
    ["CANCELLED", false],
    ["UNAVAILABLE", true],
    ["OVERLOADED", true],
    ["TRANSPORT", true],
    ["SERIALIZATION", false],
    ["INTERNAL", false],
  ];

  test.each(codes)("%s: may the same call succeed later? %s", (code, retryable) => {
    expect(systemFault(code, "x", 1)).toEqual({ code, message: "x", data: 1, retryable });
  });

  test("of something thrown: the error's own, or INTERNAL with a cause and nothing of it said", () => {
    fc.assert(fc.property(fault, (error) => {
      const thrown = new CatgaError(error);
      expect(faultOf(thrown)).toEqual({ ...error, cause: thrown });
    }));
    for (const thrown of [new Error("secret"), "secret", 0, "", null, undefined, { code: "secret" }]) {
      const found = faultOf(thrown);
      expect([found.code, found.retryable]).toEqual(["INTERNAL", false]);
      expect(found.message).not.toContain("secret");
      expect(found.cause).toBeDefined();
    }
  });
});

describe("CatgaError", () => {
  test("keeps the cause inside the process", () => {
    const cause = new Error("secret");
    const error = new CatgaError(systemFault("INTERNAL", "It failed", { n: 1 }, cause));
    expect(error.cause).toBe(cause);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("CatgaError");
    expect(JSON.stringify(error)).not.toContain("secret");
    expect("cause" in new CatgaError(systemFault("INTERNAL", "x"))).toBe(false);
  });

  test("is known by its brand, which no data from the wire can carry", () => {
    const error = new CatgaError(systemFault("INTERNAL", "x"));
    expect(CatgaError.is(error)).toBe(true);
    for (const other of [JSON.parse(JSON.stringify(error)), new Error("x"), null, undefined, "x", {}]) {
      expect(CatgaError.is(other)).toBe(false);
    }
    const ofAnotherCopy = Object.assign(new Error("x"), { [Symbol.for("catga.error")]: true });
    expect(CatgaError.is(ofAnotherCopy)).toBe(true);
  });
});
