// How many tests a runner passed and failed, and which failed, from the report it wrote, never from its prose.
import { existsSync, readFileSync } from "node:fs";

/** JUnit XML of Bun and Deno: the first element sums up. */
export function fromJunit(path) {
  const xml = read(path);
  const total = attributes(/<testsuites\b[^>]*>/.exec(xml)?.[0] ?? "");
  const skipped = total.skipped ?? sumOf(xml, "disabled");
  const failed = (total.failures ?? 0) + (total.errors ?? 0);
  const names = [...xml.matchAll(/<testcase\b([^>]*[^/])>\s*<(?:failure|error)\b/g)].map(([, tag]) =>
    ["file", "classname", "name"].map((key) => new RegExp(`\\b${key}="([^"]*)"`).exec(tag)?.[1] ?? "").join(
      " ",
    )
  );
  return { passed: Math.max(0, (total.tests ?? 0) - skipped - failed), failed, skipped, names };
}

/** TAP of node:test: a cancelled test is one that didn't pass. */
export function fromTap(path) {
  const tap = read(path);
  const count = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(tap)?.[1] ?? 0);
  return {
    passed: count("pass"),
    failed: count("fail") + count("cancelled"),
    skipped: count("skipped") + count("todo"),
    names: [...tap.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name),
  };
}

/** A runner that crashed, or that found nothing to run, has failed whatever its report says. */
export function judged(counts, code) {
  const nothing = counts.passed + counts.failed === 0;
  return counts.failed === 0 && (code !== 0 || nothing) ? { ...counts, failed: 1 } : counts;
}

function read(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function attributes(tag) {
  return Object.fromEntries(
    [...tag.matchAll(/(\w+)="(\d+)"/g)].map(([, name, value]) => [name, Number(value)]),
  );
}

function sumOf(xml, name) {
  return [...xml.matchAll(/<testsuite\b[^>]*>/g)].reduce(
    (sum, [tag]) => sum + (attributes(tag)[name] ?? 0),
    0,
  );
}
