// The tests of tests/nats against the nats-servers of Debian's newer suites, each beside the system's own:
//   node tools/nats_versions.mjs [--suites trixie,sid] [--own] [test files…]
// The packages are fetched with a state of apt's own, unpacked into .tools/nats and never installed.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled, root, runtimes } from "./install.mjs";

const { values, positionals } = parseArgs({
  options: {
    suites: { type: "string", default: "trixie,sid" },
    own: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
ensureInstalled();
const files = positionals.length > 0 ? positionals : testFiles();
const servers = fetchServers(values.suites.split(","));
if (values.own) servers.unshift({ version: "(the system's own)", path: undefined });
for (const { version, path } of servers) {
  process.stdout.write(`\nnats-server ${version}\n`);
  const env = path === undefined ? process.env : { ...process.env, NATS_SERVER: path };
  for (const file of files) if (!passes(file, env)) process.exitCode = 1;
}

function testFiles() {
  const names = readdirSync(join(root, "tests/nats")).filter((name) => name.endsWith(".test.ts"));
  return names.sort().map((name) => `tests/nats/${name}`);
}

/** Runs one file in a process of its own, and prints how it went, with what failed. */
function passes(file, env) {
  const command = ["test", "--timeout", "30000", file];
  const { status, stdout, stderr } = spawnSync(runtimes().bun, command, {
    cwd: root,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  const lines = `${stdout}${stderr}`.split("\n");
  const count = (word) => /\d+/.exec(lines.find((line) => line.trim().endsWith(` ${word}`)) ?? "0")[0];
  process.stdout.write(`  ${file}: ${count("pass")} passed, ${count("fail")} failed\n`);
  if (status === 0) return true;
  const shown = lines.filter((line) => /^\(fail\)|^error:|rror: /.test(line));
  process.stdout.write(
    `${(shown.length > 0 ? shown : lines.slice(-20)).map((line) => `    ${line}\n`).join("")}`,
  );
  return false;
}

/** The servers of these suites, one for each version, fetched where they are not there yet. */
function fetchServers(suites) {
  const state = mkdtempSync(join(tmpdir(), "catga-apt-"));
  try {
    const apt = aptWith(state, suites);
    apt("apt-get", ["update"]);
    const found = suites.map((suite) => ({ suite, version: versionIn(apt, suite) }));
    const versions = new Set(found.map(({ version }) => version));
    return [...versions].map((version) => ({ version, path: unpacked(apt, state, version) }));
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

/** apt with lists, sources and downloads in a folder: the system's own sources, with other suites. */
function aptWith(state, suites) {
  const sources = join(state, "sources.list");
  for (const folder of ["lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(state, folder), { recursive: true });
  }
  writeFileSync(join(state, "status"), "");
  writeFileSync(sources, suites.map((suite) => `deb ${debian()} ${suite} main\n`).join(""));
  const options = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "Dir::State": state,
    "Dir::State::status": join(state, "status"),
    "Dir::Cache": join(state, "cache"),
    "Acquire::Languages": "none",
    "APT::Sandbox::User": "",
    "APT::Architecture": run("dpkg", ["--print-architecture"]).trim(),
  };
  const given = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return (command, args, cwd) => run(command, [...given, ...args], cwd);
}

/** Where the system has Debian from. */
function debian() {
  const format = "$(REPO_URI) $(LABEL) $(COMPONENT)";
  const targets = run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]).split("\n");
  const found = targets.map((line) => line.split(" ")).find(([, label, part]) =>
    label === "Debian" && part === "main"
  );
  if (found === undefined) throw new Error('found no Debian among the sources: run "apt-get update" first');
  return found[0];
}

/** By lines like `nats-server | 2.10.27-1 | http://… trixie/main amd64 Packages`. */
function versionIn(apt, suite) {
  const lines = apt("apt-cache", ["madison", "nats-server"]).split("\n").map((line) => line.split("|"));
  const version = lines.find(([, , source]) => source?.includes(` ${suite}/main `))?.[1]?.trim();
  if (version === undefined) throw new Error(`${suite} has no nats-server`);
  return version;
}

function unpacked(apt, state, version) {
  const folder = join(root, ".tools/nats", version.replaceAll(/[^\w.+~-]/g, "_"));
  const server = join(folder, "usr/sbin/nats-server");
  if (existsSync(server)) return server;
  const archives = mkdtempSync(join(state, "deb-"));
  apt("apt-get", ["download", `nats-server=${version}`], archives);
  const [archive] = readdirSync(archives);
  const unpacking = join(archives, "unpacked");
  run("dpkg-deb", ["-x", join(archives, archive), unpacking]);
  // The folder is there as a whole or not at all, and on another disk than what was unpacked.
  rmSync(folder, { recursive: true, force: true });
  cpSync(unpacking, `${folder}.part`, { recursive: true });
  renameSync(`${folder}.part`, folder);
  return server;
}

function run(command, args, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stderr}`);
}
