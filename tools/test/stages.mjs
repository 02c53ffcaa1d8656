// The gate, stage by stage. A stage answers how many tests passed and failed, and what to show if any did.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureNode24, ensureServers, root, runtimes, tool } from "../install.mjs";
import { installPacked, pack } from "./packed.mjs";
import { exec } from "./process.mjs";
import { fromJunit, fromTap, judged } from "./reports.mjs";

/** These read the source tree itself, which the packed package doesn't have. */
const sourceOnly = ["tests/architecture.test.ts", "tests/package.test.ts", "tests/e2e/start.test.ts"];
/** What servers do when they are killed, stopped or lie is seen on Bun and Deno; on Node it would take minutes more. */
const serverFaults =
  /^tests\/(?:nats|redis)\/(?:\w+_faults|faults|leases|\w+_cluster|edge|outage)\.test\.ts$/;
/** Hono's types stand in this entry's signatures, and `deno doc` counts any npm type there as private. */
const withNpmTypes = ["./hono"];

/** `alone` stages run tests, some of them in real time with real processes, so nothing runs beside them. */
export function stages(folder) {
  const { bun, deno } = runtimes();
  const entries = Object.entries(JSON.parse(readFileSync(join(root, "deno.json"), "utf8")).exports);
  return [
    check("fmt", "Format", [deno, "fmt", "--check"]),
    check("lint", "Lint", [deno, "lint"]),
    check("types:tsc", "Types, TypeScript compiler", tool("typescript/bin/tsc", "-p", "tsconfig.json")),
    check("types:deno", "Types, deno check", [
      deno,
      "check",
      "--quiet",
      "mod.ts",
      "src",
      // What stands for a package of JSR names it, and JSR is not always there.
      ...filesOf("adapters", ".ts").filter((path) => !path.endsWith(".d.ts")),
      "examples",
      "tests",
      "tools",
    ]),
    {
      name: "build",
      title: "Build and pack for npm",
      run: async () => ran({ code: 0, output: await pack(folder) }),
    },
    onTarball("publint", "Package by publint", (file) => tool("publint/src/cli.js", "run", file, "--strict")),
    onTarball(
      "attw",
      "Package by Are The Types Wrong",
      (file) => tool("@arethetypeswrong/cli/dist/index.js", file, "--profile", "esm-only", "--no-emoji"),
    ),
    check("doc:lint", "Documentation of entries", [
      ...[deno, "doc", "--quiet", "--lint"],
      ...entries.filter(([name]) => !withNpmTypes.includes(name)).map(([, path]) => path),
    ]),
    check("jsr", "JSR publish, dry run", [deno, "publish", "--quiet", "--dry-run", "--allow-dirty"]),
    tests("doc:test", "Documentation tests", fromJunit, (report) => [
      ...[
        deno,
        "test",
        "-A",
        "--doc",
        "--quiet",
        `--junit-path=${report}`,
        "mod.ts",
        "src",
        "adapters",
        "README.md",
      ],
    ]),
    // Those with processes and servers of their own wait most of the time, so the others run beside them.
    tests("bun", "Tests on Bun", fromJunit, (report, part) => [
      ...[bun, "test", "--timeout", "20000", "--reporter=junit", `--reporter-outfile=${report}`],
      ...part,
    ], { parts: shares() }),
    tests("deno", "Tests on Deno", fromJunit, (report) => [
      ...[deno, "test", "-A", "--no-check", "--parallel", `--junit-path=${report}`, "tests"],
    ]),
    tests("node", "Tests on Node, against the packed package", fromTap, (report, part) => [
      ...[ensureNode24(), "--import", "./tests/shim/register.mjs", "--test", "--test-force-exit"],
      ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
      ...["--test-reporter=tap", `--test-reporter-destination=${report}`],
      ...part,
    ], { parts: nodeShares(), prepare: () => installPacked(folder) }),
  ];

  function onTarball(name, title, command) {
    return { name, title, run: async () => ran(await exec(command(await pack(folder)))) };
  }

  /** Runs a command, or one for each part beside the others, and sums up what their reports say. */
  function tests(name, title, parse, command, { parts = [[]], prepare = () => root } = {}) {
    const runPart = async (part, at, cwd) => {
      const report = join(folder, `${name.replace(":", "-")}-${at}.report`);
      const { code, output } = await exec(command(report, part), { cwd, env: { DENO_JOBS: "4" } });
      return { ...judged(parse(report), code), output: withoutPassed(output) };
    };
    const run = async () => {
      ensureServers();
      const cwd = await prepare();
      const all = await Promise.all(parts.map((part, at) => runPart(part, at, cwd)));
      const sum = (of) => all.reduce((total, each) => total + each[of], 0);
      const failed = all.filter((each) => each.failed > 0);
      const names = failed.flatMap((each) => each.names).map((name) => `failed: ${name}\n`);
      return {
        ...{ passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") },
        output: [...names, ...failed.map((each) => each.output)].join(""),
      };
    };
    return { name, title, run, alone: true };
  }
}

/** The files with processes of their own, those with servers, and all others. */
function shares() {
  const shares = [[], [], []];
  for (const path of filesOf("tests", ".test.ts")) {
    shares[path.startsWith("tests/e2e/") ? 0 : /^tests\/(?:nats|redis)\//.test(path) ? 1 : 2].push(path);
  }
  return shares;
}

/** On Node a process for each file takes longer than most of them do, so only those with servers or processes get one. */
function nodeShares() {
  const [processes, servers, others] = shares().map((files) =>
    files.filter((path) => !sourceOnly.includes(path) && !serverFaults.test(path))
  );
  const halves = [0, 1].map((half) => others.filter((_, at) => at % 2 === half));
  return [
    ...halves.map((half) => ["--test-isolation=none", ...half]),
    ["--test-concurrency=2", ...processes, ...servers],
  ];
}

function withoutPassed(output) {
  return output
    .replace(/^(?:\(pass\)|✔|﹣).*\n|^.* \.\.\. .*?(?:ok|ignored) \(.*\n/gm, "")
    .replace(/^(?:tests\/\S+:\s*\n)+(?=tests\/\S+:\n|\s*\d+ pass)/gm, "");
}

function check(name, title, command) {
  return { name, title, run: async () => ran(await exec(command)) };
}

function ran({ code, output }) {
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, output };
}

function filesOf(folder, ending) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((each) => {
    const path = `${folder}/${each.name}`;
    if (each.isDirectory()) return filesOf(path, ending);
    return each.name.endsWith(ending) ? [path] : [];
  });
}
