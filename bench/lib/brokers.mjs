// Servers that a candidate needs beside its own process: fresh ones on free ports, with a folder that goes with them.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { runtimes } from "../../tools/install.mjs";
import { freePorts, start, stop as end } from "./processes.mjs";

const brokers = {
  redis: {
    binary: () => found("REDIS_SERVER", "/usr/bin/redis-server", "redis-server"),
    ready: "Ready to accept connections",
    args: (port, folder) => [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
      ...["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
    ],
  },
  nats: {
    binary: () => found("NATS_SERVER", "/usr/sbin/nats-server", "nats-server"),
    ready: "Server is ready",
    args: (port, folder) => {
      const file = join(folder, "server.conf");
      const lines = [
        `listen: "127.0.0.1:${port}"`,
        `websocket { listen: "127.0.0.1:${port + 1}", no_tls: true }`,
        `jetstream { store_dir: "${folder}" }`,
      ];
      writeFileSync(file, lines.join("\n"));
      return ["-c", file];
    },
  },
};

/**
 * Starts a `redis`, a `nats` or a `gateway`; answers `{ port, pid, pids, stop }`: its own process, and all that stand
 * behind the port.
 */
export async function startBroker(name) {
  if (name === "gateway") return await startGateway();
  const { binary, ready, args } = brokers[name];
  const folder = mkdtempSync(join(tmpdir(), `catga-bench-${name}-`));
  const port = await freePorts();
  const child = spawn(binary(), args(port, folder), { stdio: ["ignore", "pipe", "pipe"] });
  const gone = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    child.kill("SIGKILL");
    if (child.pid !== undefined) await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  let output = "";
  const failed = await new Promise((resolve) => {
    child.once("error", resolve);
    child.once("exit", (code) => resolve(new Error(`exit code ${code}: ${output.slice(-1000)}`)));
    setTimeout(() => resolve(new Error("it was not ready after 10 s")), 10_000).unref();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        output = (output + data).slice(-10_000);
        if (output.includes(ready)) resolve();
      });
    }
  });
  if (failed !== undefined) {
    await stop();
    throw new Error(`Could not start ${binary()}: ${failed.message}`);
  }
  try {
    setPriority(child.pid, -10);
  } catch {
    /* not root: as everyone else */
  }
  return { port, pid: child.pid, pids: [child.pid], stop };
}

/** A redis-server, and before it its REST API, on Bun for whoever asks. */
async function startGateway() {
  const redis = await startBroker("redis");
  try {
    const port = await freePorts();
    const bun = { name: "bun", path: runtimes().bun };
    const gateway = await start(bun, ["harness/redis_gateway.ts", String(redis.port), String(port)]);
    const stop = async () => {
      await end(gateway);
      await redis.stop();
    };
    return { port, pid: gateway.pid, pids: [gateway.pid, redis.pid], stop };
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

function found(variable, path, name) {
  return process.env[variable] ?? (existsSync(path) ? path : name);
}
