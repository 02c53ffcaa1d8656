/**
 * Tests and hooks of one file, flattened onto `node:test`: each `describe` is a {@linkcode Group}, each test
 * runs its groups' hooks itself. One flat list gives Deno and Node the same names, order and counts as Bun.
 */

import process from "node:process";
import * as nodeTest from "node:test";
import { expect } from "expect";

export type Body = () => unknown;

export interface TestOptions {
  readonly timeout?: number;
  readonly retry?: number;
  readonly repeats?: number;
}

export interface Group {
  readonly path: string;
  readonly parent: Group | undefined;
  readonly skipped: boolean;
  readonly hooks: Record<HookName, Hook[]>;
  /** Tests still to run, nested ones included; the last one runs `afterAll`. */
  waiting: number;
  started: Promise<void> | undefined;
}

export type HookName = "beforeAll" | "beforeEach" | "afterEach" | "afterAll";

export interface Hook {
  readonly run: Body;
  readonly timeout: number | undefined;
}

let defaultTimeout = 20_000;

export function setDefaultTimeout(milliseconds: number): void {
  defaultTimeout = milliseconds;
}

const root = newGroup("", undefined, false);
let current = root;
/** Deno never runs a file's own `after`; Node may start tests before the file is read to its end. */
const hostEndsFile = !("Deno" in globalThis);
/** Node only notes an unhandled rejection, and under another test's name: it is to fail the running one. */
const stray: unknown[] = [];
if (hostEndsFile) {
  process.on("unhandledRejection", (reason) => stray.push(reason));
  process.on("uncaughtException", (error) => stray.push(error));
  nodeTest.after(async () => {
    await runHooks(root.hooks.afterAll);
    throwAll(stray);
  });
}

export function addGroup(name: string, body: Body, skipped: boolean): void {
  const outer = current;
  current = newGroup(join(outer.path, name), outer, skipped || outer.skipped);
  try {
    if (body() instanceof Promise) throw new TypeError(`describe("${name}") must not be async`);
  } finally {
    current = outer;
  }
}

export function addHook(name: HookName, run: Body, timeout: number | undefined): void {
  current.hooks[name].push({ run, timeout });
}

export function addTest(name: string, body: Body, options: TestOptions, skipped: boolean): void {
  const group = current;
  const title = join(group.path, name);
  if (skipped || group.skipped) {
    nodeTest.test(title, { skip: true }, () => {});
    return;
  }
  const groups = chain(group);
  for (const each of groups) each.waiting++;
  nodeTest.test(title, () => runTest(groups, body, options));
}

async function runTest(groups: readonly Group[], body: Body, options: TestOptions): Promise<void> {
  const errors: unknown[] = [];
  const times = 1 + (options.repeats ?? 0);
  for (let i = 0; i < times && errors.length === 0; i++) {
    for (let attempt = 0; attempt <= (options.retry ?? 0); attempt++) {
      errors.length = 0;
      await runOnce(groups, body, options, errors);
      if (errors.length === 0) break;
    }
  }
  for (const group of groups.toReversed()) {
    const last = --group.waiting === 0 && !(group === root && hostEndsFile);
    if (last) await collect(errors, () => runHooks(group.hooks.afterAll));
  }
  throwAll([...errors, ...stray.splice(0)]);
}

function throwAll(errors: readonly unknown[]): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join("\n"));
}

async function runOnce(
  groups: readonly Group[],
  body: Body,
  options: TestOptions,
  errors: unknown[],
): Promise<void> {
  await collect(errors, async () => {
    for (const group of groups) await (group.started ??= runHooks(group.hooks.beforeAll));
    for (const group of groups) await runHooks(group.hooks.beforeEach);
    expect.setState({ assertionCalls: 0, expectedAssertionsNumber: null, isExpectingAssertions: false });
    await limited(body, options.timeout);
    for (const { error } of expect.extractExpectedAssertionsErrors()) throw error;
  });
  for (const group of groups.toReversed()) {
    await collect(errors, () => runHooks(group.hooks.afterEach));
  }
}

async function runHooks(hooks: readonly Hook[]): Promise<void> {
  for (const hook of hooks) await limited(hook.run, hook.timeout);
}

async function collect(errors: unknown[], run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    errors.push(error);
  }
}

async function limited(body: Body, timeout: number = defaultTimeout): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${timeout} ms`)), timeout);
  });
  try {
    await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function newGroup(path: string, parent: Group | undefined, skipped: boolean): Group {
  const hooks = { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
  return { path, parent, skipped, hooks, waiting: 0, started: undefined };
}

function chain(group: Group | undefined): Group[] {
  return group === undefined ? [] : [...chain(group.parent), group];
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path} > ${name}`;
}
