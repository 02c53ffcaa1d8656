import { describe, expect, test } from "bun:test";
import {
  type Behavior,
  createMediator,
  fail,
  failure,
  type Fault,
  handle,
  ok,
  type SystemCode,
  systemFault,
} from "@catga/catga";
import { circuitBreaker, fallback } from "@catga/catga/behaviors";
import { Act, broken, fakeRuntime, Look, watch } from "./fake_runtime.ts";

const refusing = (code: SystemCode): Behavior => () => () =>
  Promise.resolve(failure(systemFault(code, "no")));

describe("fallback", () => {
  test.each<SystemCode>(["UNAVAILABLE", "OVERLOADED", "TIMEOUT", "TRANSPORT"])(
    "answers for %s",
    async (code) => {
      const seen: [Fault, string, string][] = [];
      const app = createMediator({
        runtime: fakeRuntime(),
        behaviors: [
          fallback(Look, (fault, body, context) => {
            seen.push([fault, body, context.contract.type]);
            return "instead";
          }),
          refusing(code),
        ],
        handlers: [handle(Look, () => 1)],
      });
      expect(await app.send(Look("x"))).toEqual(ok("instead"));
      expect(seen).toEqual([[systemFault(code, "no"), "x", "look"]]);
    },
  );

  test.each<SystemCode>(["INTERNAL", "VALIDATION", "NO_HANDLER", "CANCELLED", "CONFLICT", "SERIALIZATION"])(
    "lets %s pass",
    async (code) => {
      const app = createMediator({
        runtime: fakeRuntime(),
        behaviors: [fallback(Look, () => "instead"), refusing(code)],
        handlers: [handle(Look, () => 1)],
      });
      expect(await watch(app.send(Look("x"))).done).toBe(code);
    },
  );

  test("lets answers and the contract's own failures pass", async () => {
    let asked = 0;
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [fallback(Look, () => ++asked)],
      handlers: [handle(Look, (body) => body === "fail" ? fail("OWN", { n: 1 }) : body)],
    });
    expect(await app.send(Look("x"))).toEqual(ok("x"));
    expect(await watch(app.send(Look("fail"))).done).toBe("OWN");
    expect(asked).toBe(0);
  });

  test("only for its contract", async () => {
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [fallback(Look, () => "instead")],
      handlers: [handle(Look, () => broken()), handle(Act, () => broken())],
    });
    expect(await watch(app.send(Look("x"))).done).toBe("ok");
    expect(await watch(app.send(Act("x"))).done).toBe("TRANSPORT");
  });

  test("may take its time, and answers while a circuit is open", async () => {
    let handled = 0;
    const app = createMediator({
      runtime: fakeRuntime(),
      behaviors: [fallback(Look, () => Promise.resolve("instead")), circuitBreaker({ failures: 1 })],
      handlers: [handle(Look, () => {
        handled++;
        return broken();
      })],
    });
    for (let n = 0; n < 3; n++) expect(await app.send(Look("x"))).toEqual(ok("instead"));
    expect(handled).toBe(1);
  });

  test.each([
    ["throws", () => {
      throw new Error("x");
    }],
    ["rejects", () => Promise.reject(new Error("x"))],
  ])("that %s is INTERNAL", async (_how, answer) => {
    const runtime = fakeRuntime();
    const app = createMediator({
      runtime,
      behaviors: [fallback(Look, answer)],
      handlers: [handle(Look, () => broken())],
    });
    expect(await watch(app.send(Look("x"))).done).toBe("INTERNAL");
    expect(runtime.entries).toHaveLength(1);
  });
});
