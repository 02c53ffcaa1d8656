import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import {
  command,
  type Contract,
  event,
  type Kind,
  query,
  reliableEvent,
  type Router,
  stream,
  type,
} from "../../mod.ts";
import { contractOf } from "../../src/message/contract.ts";
import { isTrusted } from "../../src/schema.ts";

const text = type<string>();
const all: readonly (readonly [Kind, (name: string) => Contract])[] = [
  ["command", (name) => command(name, { input: text, output: text })],
  ["query", (name) => query(name, { input: text, output: text })],
  ["stream", (name) => stream(name, { input: text, output: text })],
  ["event", (name) => event(name, { data: text })],
  ["reliable", (name) => reliableEvent(name, { data: text })],
];

describe.each(all)("a contract of a %s", (kind, define) => {
  const contract = define("a.name");
  const message = contract("x");

  test("makes messages that are plain data", () => {
    expect(Object.keys(message)).toEqual(["kind", "type", "body"]);
    expect(JSON.parse(JSON.stringify(message))).toEqual({ kind, type: "a.name", body: "x" });
    expect(structuredClone(message)).toEqual({ kind, type: "a.name", body: "x" } as never);
    expect({ ...message }).toEqual({ kind, type: "a.name", body: "x" });
  });

  test("is known by its messages, also where no handler is, and by nobody else's", () => {
    expect(contractOf(message)).toBe(contract);
    expect(contractOf({ kind, type: "a.name", body: "x" })).toBeUndefined();
    expect(contractOf(define("a.name")("x"))).not.toBe(contract);
  });

  test("has the same metadata as its messages", () => {
    expect([contract.kind, contract.type]).toEqual([kind, "a.name"]);
    expect(isTrusted(contract.input)).toBe(true);
    expect(contract.output === undefined).toBe(kind === "event" || kind === "reliable");
    expect(contract.errors).toEqual({});
    expect([contract.timeout, contract.key, contract.route, contract.summary]).toEqual(
      [undefined, undefined, undefined, undefined],
    );
    expect(contract.idempotent).toBe(kind === "query");
  });

  test("takes names of a letter and up to 127 of letters, digits and _ . : -", () => {
    const letter = fc.constantFrom(..."abcxyzABCXYZ");
    const rest = fc.string({ unit: fc.constantFrom(..."aZ09_.:-"), maxLength: 127 });
    fc.assert(fc.property(letter, rest, (first, more) => {
      expect(define(first + more).type).toBe(first + more);
    }));
    fc.assert(fc.property(fc.string(), (name) => {
      fc.pre(!/^[A-Za-z][\w.:-]{0,127}$/.test(name));
      expect(() => define(name)).toThrow(RangeError);
    }));
    expect(() => define("x".repeat(129))).toThrow(RangeError);
    expect(() => define("x\n")).toThrow(RangeError);
  });
});

describe("what holds for a contract", () => {
  const route: Router = (_call, candidates) => candidates[0];
  const key = (body: string): string => body;
  const policy = { key, timeout: 5, idempotent: true, route, summary: "Does it" };

  test("is what was said, also of events", () => {
    const spec = { input: text, output: text, ...policy };
    for (const one of [command("a", spec), stream("a", spec), event("a", { data: text, ...policy })]) {
      expect({ ...one }).toMatchObject(policy);
    }
  });

  test("a query is idempotent, whatever was said", () => {
    expect(query("a", { input: text, output: text, idempotent: false }).idempotent).toBe(true);
  });

  test.each([0, -1, NaN])("a hedge or a cache of %d ms is a RangeError by name", (ms) => {
    expect(() => query("a.b", { input: text, output: text, hedge: ms })).toThrow('"a.b": hedge');
    expect(() => query("a.b", { input: text, output: text, cache: { ttl: ms } })).toThrow('"a.b": cache.ttl');
  });

  test.each([0, -1, NaN, -Infinity])("a timeout of %d ms is a RangeError by name", (timeout) => {
    expect(() => command("a.b", { input: text, output: text, timeout })).toThrow(RangeError);
    expect(() => event("a.b", { data: text, timeout })).toThrow('"a.b"');
  });

  test("a shard that cannot be is a RangeError that says why", () => {
    const key = (): string => "k";
    const define = (shard: { key: () => string; count: number; group?: string }) =>
      command("a.b", { input: text, output: text, shard });
    for (const count of [0, -1, 1.5, NaN, 4097]) {
      expect(() => define({ key, count })).toThrow('"a.b": shard.count is');
    }
    expect(() => define({ key, count: 4, group: "no name" })).toThrow("shard.group");
    expect(() => event("a.b", { data: text, shard: { key, count: 4 } })).toThrow("only commands and queries");
    const others = { route: (): undefined => undefined, hedge: 5, key: () => "other" };
    for (const [name, value] of Object.entries(others)) {
      const policy = { input: text, output: text, shard: { key, count: 4 }, [name]: value };
      expect(() => query("a.b", policy)).toThrow(`no ${name} of its own`);
    }
    const defined = define({ key, count: 4096, group: "b.c" });
    expect([defined.shard, defined.key]).toEqual([{ key, count: 4096, group: "b.c" }, key]);
  });

  test("any Standard Schema will do, and is kept as it is", () => {
    const schema = v.object({ n: v.number() });
    const contract = command("a", { input: schema, output: schema, errors: { NO: schema } });
    expect(contract.input).toBe(schema as never);
    expect(contract.output).toBe(schema as never);
    expect(contract.errors).toEqual({ NO: schema } as never);
    expect([isTrusted(schema), isTrusted(type())]).toEqual([false, true]);
  });

  test("type() answers what it is given, of any kind", () => {
    const { validate } = type<unknown>()["~standard"];
    for (const value of [undefined, null, 1, "x", text]) expect(validate(value)).toEqual({ value });
  });
});
