/** What our tests use of `bun:test`, for Deno and Node: `node:test` below, npm `expect` and `jest-mock` beside. */

import { fn, spyOn as jestSpyOn } from "jest-mock";
import { format } from "node:util";
import { addGroup, addHook, addTest, type Body, type TestOptions } from "./suite.ts";

export { expect } from "expect";
export { setDefaultTimeout } from "./suite.ts";

// deno-lint-ignore no-explicit-any
type Any = any;
type Options = number | TestOptions;
type Define = (name: string, body: Body, options?: Options) => void;
interface DefineEach {
  <Row extends readonly [Any, ...Any[]]>(rows: readonly Row[]): DefineRow<Row>;
  <Row>(rows: readonly Row[]): DefineRow<Row extends readonly Any[] ? Row : [Row]>;
}
type DefineRow<Values extends readonly Any[]> = (
  name: string,
  body: (...values: [...Values]) => unknown,
  options?: Options,
) => void;

export interface Family extends Define {
  readonly each: DefineEach;
  readonly skip: Define;
  readonly todo: (name: string, body?: Body) => void;
  readonly if: (condition: unknown) => Define;
  readonly skipIf: (condition: unknown) => Define;
}

export interface Test extends Family {
  /** Runs them one after the other here; only Bun overlaps them. */
  readonly concurrent: Family;
  readonly serial: Family;
  readonly todoIf: (condition: unknown) => Define;
}

const defineTest = (skipped: boolean): Define => (name, body, options = {}) =>
  addTest(name, body, typeof options === "number" ? { timeout: options } : options, skipped);
const defineGroup = (skipped: boolean): Define => (name, body) => addGroup(name, body, skipped);

export const describe: Family = family(defineGroup);
export const test: Test = Object.assign(family(defineTest), {
  concurrent: family(defineTest),
  serial: family(defineTest),
  todoIf: (condition: unknown) => defineTest(Boolean(condition)),
});
export const it: Test = test;

export const beforeAll = (run: Body, timeout?: number): void => addHook("beforeAll", run, timeout);
export const beforeEach = (run: Body, timeout?: number): void => addHook("beforeEach", run, timeout);
export const afterEach = (run: Body, timeout?: number): void => addHook("afterEach", run, timeout);
export const afterAll = (run: Body, timeout?: number): void => addHook("afterAll", run, timeout);

export const mock: typeof fn = fn;
export const spyOn: typeof jestSpyOn = jestSpyOn;

function family(define: (skipped: boolean) => Define): Family {
  return Object.assign(define(false), {
    each: eachOf(define(false)),
    skip: define(true),
    todo: (name: string) => define(true)(name, () => {}),
    if: (condition: unknown) => define(!condition),
    skipIf: (condition: unknown) => define(Boolean(condition)),
  });
}

function eachOf(define: Define): DefineEach {
  return (rows: readonly Any[]) => (name: string, body: (...values: Any[]) => unknown, options?: Options) => {
    for (const [index, row] of rows.entries()) {
      const values: readonly Any[] = Array.isArray(row) ? row : [row];
      define(titleOf(name, values, index), () => body(...values), options);
    }
  };
}

/** `%s`, `%d`, `%j` … take the values in turn, `%#` is the row's number, `$name` a property of the first value. */
function titleOf(name: string, values: readonly Any[], index: number): string {
  const named = name.replaceAll("%#", String(index)).replaceAll("%p", "%o")
    .replace(/\$([\w.]+)/g, (whole, path: string) => {
      const found = path.split(".").reduce((value, key) => value?.[key], values[0]);
      return found === undefined ? whole : format("%s", found);
    });
  const places = named.match(/%[sdifjoOc]/g)?.length ?? 0;
  return format(named, ...values.slice(0, places));
}
