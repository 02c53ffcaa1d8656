// A nats-server of our own, on any free ports of this machine, with WebSocket and JetStream on.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const longestStart = 10_000;

/** Resolves to `{ url, ws, pid, stop }` when it takes connections; its files are gone when it was stopped. */
export async function startNatsServer() {
  const folder = mkdtempSync(join(tmpdir(), "catga-nats-"));
  const file = join(folder, "server.conf");
  writeFileSync(
    file,
    [
      `host: 127.0.0.1`,
      `port: -1`,
      `websocket { host: 127.0.0.1, port: -1, no_tls: true }`,
      `jetstream { store_dir: "${join(folder, "files")}" }`,
      `ports_file_dir: "${folder}"`,
    ].join("\n"),
  );
  // A group of its own, so that Ctrl-C in a terminal does not end it before the nodes.
  const child = spawn(binary(), ["-c", file], { stdio: "ignore", detached: process.platform !== "win32" });
  let failed;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.once("error", (error) => failed = error);
  const kill = () => child.kill("SIGKILL");
  process.once("exit", () => {
    kill();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const end = Date.now() + longestStart; Date.now() < end;) {
    if (failed !== undefined || child.exitCode !== null) break;
    const ports = portsIn(folder);
    if (ports !== undefined) return { ...ports, pid: child.pid, stop };
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(
    `nats-server did not begin: ${
      failed?.message ?? "it ended or told no ports"
    }. Install it, for instance with ` +
      `"apt-get install nats-server", or name a server that runs: NATS_URL=ws://host:port`,
  );

  async function stop() {
    child.kill("SIGTERM");
    const late = setTimeout(kill, 5000);
    await ended;
    clearTimeout(late);
  }
}

function binary() {
  if (process.env.NATS_SERVER) return process.env.NATS_SERVER;
  return existsSync("/usr/sbin/nats-server") ? "/usr/sbin/nats-server" : "nats-server";
}

function portsIn(folder) {
  const name = readdirSync(folder).find((name) => name.endsWith(".ports"));
  if (name === undefined) return undefined;
  try {
    const { nats, websocket } = JSON.parse(readFileSync(join(folder, name), "utf8"));
    return { url: nats[0], ws: websocket[0] };
  } catch {
    return undefined;
  }
}
