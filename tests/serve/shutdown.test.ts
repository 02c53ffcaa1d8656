import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const fixture = fileURLToPath(new URL("./shutdown_process.ts", import.meta.url));

/** Runs a process of this runtime that waits for a signal; answers its exit code and what it printed. */
function run(
  mode: string,
  signals: readonly NodeJS.Signals[],
): Promise<{ code: number | null; out: string }> {
  const deno = "Deno" in globalThis;
  const args = deno
    ? ["run", "-A", "--no-check", fixture, mode]
    : [...process.execArgv.filter(isLoader), fixture, mode];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    let next = 0;
    child.stdout.on("data", (data) => {
      out += data.toString();
      // One signal for each line, so that the process is ready for it.
      const lines = out.split("\n").length - 1;
      while (next < Math.min(lines, signals.length)) process.kill(child.pid!, signals[next++]!);
    });
    child.on("close", (code) => resolve({ code, out }));
  });
}

/** `--import x` or `--import=x`: how Node maps the imports of tests. */
const isLoader = (arg: string, at: number, all: string[]): boolean =>
  arg.startsWith("--import") || all[at - 1] === "--import";

describe("onShutdown", () => {
  test.each(["SIGTERM", "SIGINT"] as NodeJS.Signals[])(
    "%s: runs the work, then exits with 0",
    async (signal) => {
      expect(await run("works", [signal])).toEqual({ code: 0, out: "ready\nstarted\ndone\n" });
    },
  );

  test("work that fails: 1", async () => {
    expect(await run("fails", ["SIGTERM"])).toEqual({ code: 1, out: "ready\nstarted\nshutdown.failed\n" });
  });

  test("work that takes too long: 1", async () => {
    expect(await run("hangs", ["SIGTERM"])).toEqual({ code: 1, out: "ready\nstarted\nshutdown.failed\n" });
  });

  test("a second signal ends at once", async () => {
    expect(await run("waits", ["SIGTERM", "SIGINT"])).toEqual({ code: 1, out: "ready\nstarted\n" });
  });
});
