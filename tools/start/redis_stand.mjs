// A redis-server of our own on any free port of this machine, and the gateway before it, each a process.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { root, runtimes } from "../install.mjs";
import { freePorts } from "./ports.mjs";

const longestStart = 10_000;

/**
 * Resolves to `{ url, token, readOnlyToken, redis, pids, ended, stop }` when the gateway answers. Without a `folder`
 * the files of the server are gone when it was stopped; `redis` takes a server that runs already.
 */
export async function startRedisStand({ port = 0, folder, redis, token, readOnlyToken } = {}) {
  const server = redis === undefined ? await startServer(folder) : { url: redis, stop: () => {} };
  const tokens = { token: token ?? random(), readOnlyToken: readOnlyToken ?? random() };
  try {
    const gateway = await startGateway(server.url, port, tokens);
    const ends = [server.ended, gateway.ended].filter((each) => each !== undefined);
    const stop = async () => {
      await gateway.stop();
      await server.stop();
    };
    const pids = { redis: server.pid, gateway: gateway.pid };
    return { url: gateway.url, ...tokens, redis: server.url, pids, ended: Promise.race(ends), stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function startServer(folder) {
  const files = folder ?? mkdtempSync(join(tmpdir(), "catga-redis-"));
  mkdirSync(files, { recursive: true });
  const [port] = await freePorts(1);
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", files, "--save", ""];
  const child = start(binary(), [...args, "--appendonly", "yes", "--appendfsync", "no"], {});
  const forget = () => folder === undefined && rmSync(files, { recursive: true, force: true });
  const stop = async () => {
    await child.stop();
    forget();
  };
  process.once("exit", forget);
  try {
    await child.line((line) => line.includes("Ready to accept connections"));
  } catch (error) {
    await stop();
    throw new Error(
      `redis-server did not begin: ${error.message}. Install it, for instance with "apt-get install redis-server", ` +
        `or name a server that runs: REDIS_URL=redis://host:port`,
    );
  }
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid, ended: child.ended, stop };
}

async function startGateway(redis, port, { token, readOnlyToken }) {
  const env = {
    REDIS_URL: redis,
    REDIS_TOKEN: token,
    REDIS_READ_ONLY_TOKEN: readOnlyToken,
    PORT: String(port),
  };
  const child = start(runtimes().bun, [join(root, "tools/start/redis_gateway_main.ts")], env);
  try {
    const { url } = JSON.parse(await child.line((line) => line.startsWith("{")));
    return { url, pid: child.pid, ended: child.ended, stop: child.stop };
  } catch (error) {
    await child.stop();
    throw new Error(`the gateway did not begin: ${error.message}`);
  }
}

function start(command, args, env) {
  // A group of its own, so that Ctrl-C in a terminal does not end it before its users.
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
    detached: process.platform !== "win32",
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let printed = "";
  let failed;
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
    child.once("error", (error) => resolve(failed = error));
  });
  child.stderr.setEncoding("utf8").on("data", (text) => printed = (printed + text).slice(-2000));
  const lines = createInterface({ input: child.stdout });

  return {
    pid: child.pid,
    ended,
    /** The first line that fits. */
    line: (fits) =>
      new Promise((resolve, reject) => {
        const why = () =>
          reject(new Error(failed?.message ?? (printed.trim() || "it ended or said nothing")));
        const late = setTimeout(why, longestStart);
        lines.on("line", (line) => {
          if (!fits(line)) return void (printed = (printed + line + "\n").slice(-2000));
          clearTimeout(late);
          resolve(line);
        });
        ended.then(() => (clearTimeout(late), why()));
      }),
    stop: async () => {
      child.kill("SIGTERM");
      const late = setTimeout(kill, 5000);
      await ended;
      clearTimeout(late);
      process.off("exit", kill);
    },
  };
}

function binary() {
  if (process.env.REDIS_SERVER) return process.env.REDIS_SERVER;
  return existsSync("/usr/bin/redis-server") ? "/usr/bin/redis-server" : "redis-server";
}

function random() {
  return randomBytes(24).toString("base64url");
}
