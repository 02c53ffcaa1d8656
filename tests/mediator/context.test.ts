import { describe, expect, test } from "bun:test";
import { command, type Context, createMediator, event, handle, on, type, unwrap } from "@catga/catga";

const Outer = command("outer", { input: type<void>(), output: type<unknown>() });
const Inner = command("inner", { input: type<void>(), output: type<unknown>() });

function nested(inner: (context: Context) => unknown, outer: (context: Context) => unknown) {
  return createMediator({
    handlers: [
      handle(Outer, (_body, context) => outer(context)),
      handle(Inner, (_body, context) => inner(context)),
    ],
  });
}

const never = (): Promise<never> => new Promise(() => {});

describe("context", () => {
  test("an id for each message, one correlation for all, causation from one to the next", async () => {
    const app = nested(
      ({ id, correlationId, causationId }) => ({ id, correlationId, causationId }),
      async (context) => ({
        outer: { id: context.id, correlationId: context.correlationId, causationId: context.causationId },
        inner: unwrap(await context.send(Inner())),
      }),
    );
    type Names = { id: string; correlationId: string; causationId?: string };
    const { outer, inner } = unwrap(await app.send(Outer())) as { outer: Names; inner: Names };
    expect(outer.correlationId).toBe(outer.id);
    expect(outer.causationId).toBeUndefined();
    expect(inner.id).not.toBe(outer.id);
    expect(inner.correlationId).toBe(outer.id);
    expect(inner.causationId).toBe(outer.id);
    const again = unwrap(await app.send(Outer())) as { outer: Names };
    expect(again.outer.id).not.toBe(outer.id);
  });

  test("headers and deadline are handed on", async () => {
    const app = nested(
      ({ headers, deadline }) => ({ headers, deadline }),
      async (context) => [context.deadline, unwrap(await context.send(Inner(), { timeout: 60_000 }))],
    );
    const [deadline, inner] = unwrap(
      await app.send(Outer(), { headers: { tenant: "t1" }, timeout: 5000 }),
    ) as [
      number,
      { headers: object; deadline: number },
    ];
    expect(inner.headers).toEqual({ tenant: "t1" });
    expect(inner.deadline).toBe(deadline);
    const [none] = unwrap(await app.send(Outer())) as [number];
    expect(none).toBe(Infinity);
  });

  test("the signal aborts when the caller gives up, in nested calls too", async () => {
    const aborted: string[] = [];
    const app = nested(
      ({ signal }) => {
        signal.addEventListener("abort", () => aborted.push("inner"));
        return never();
      },
      (context) => {
        context.signal.addEventListener("abort", () => aborted.push("outer"));
        return context.send(Inner());
      },
    );
    const controller = new AbortController();
    const sent = app.send(Outer(), { signal: controller.signal });
    controller.abort();
    expect(await sent).toMatchObject({ error: { code: "CANCELLED" } });
    expect(aborted.sort()).toEqual(["inner", "outer"]);
    expect(await app.send(Outer(), { signal: controller.signal })).toMatchObject({
      error: { code: "CANCELLED" },
    });
  });

  test("a handler that never settles is given up at its timeout", async () => {
    const reasons: unknown[] = [];
    const app = nested(
      () => undefined,
      ({ signal }) => {
        signal.addEventListener("abort", () => reasons.push((signal.reason as { code: string }).code));
        return never();
      },
    );
    expect(await app.send(Outer(), { timeout: 10 })).toMatchObject({
      error: { code: "TIMEOUT", retryable: true },
    });
    expect(reasons).toEqual(["TIMEOUT"]);
  });

  test("a contract's own timeout needs nothing at the call", async () => {
    const Slow = command("slow", { input: type<void>(), output: type<void>(), timeout: 10 });
    const app = createMediator({ handlers: [handle(Slow, never)] });
    expect(await app.send(Slow())).toMatchObject({ error: { code: "TIMEOUT" } });
    expect((await app.sendAll([Slow(), Slow()])).map((result) => result.ok)).toEqual([false, false]);
  });

  test("a caller's signal is let go of when the call is done", async () => {
    const app = nested(() => 1, () => 1);
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener =
      ((...args: Parameters<typeof add>) => (listeners++, add(...args))) as typeof add;
    signal.removeEventListener =
      ((...args: Parameters<typeof remove>) => (listeners--, remove(...args))) as typeof remove;
    await app.send(Outer(), { signal });
    expect(listeners).toBe(0);
  });

  test("handlers of one event see one message", async () => {
    const Told = event("told", { data: type<void>() });
    const ids: string[] = [];
    const hear = on(Told, (_body, { id }) => void ids.push(id), {
      behaviors: [(next) => (context) => next(context)],
    });
    const app = createMediator({ handlers: [hear, on(Told, (_body, { id }) => void ids.push(id))] });
    await app.publish(Told());
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(2 - 1);
  });
});
