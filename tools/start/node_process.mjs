// One node as a process of its own.
import { spawn } from "node:child_process";
import process from "node:process";
import { root } from "../install.mjs";

/** How long a node may take to end after it was asked to, in ms. */
const patience = 20_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function startNode(name, url, { command: [file, ...args], title }, env, print) {
  // A group of its own, so that Ctrl-C in a terminal reaches us alone: a second signal would cut its farewell short.
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: process.platform !== "win32",
  });
  print(name, child.stdout);
  print(name, child.stderr);
  const node = {
    name,
    url,
    runtime: title,
    pid: child.pid,
    gone: false,
    ended: undefined,
    ready,
    stop,
    kill,
  };
  node.ended = new Promise((resolve) => {
    child.on("error", (error) => end({ said: `without having run: ${error.message}`, clean: false }));
    child.on("exit", () => node.gone = true);
    child.on(
      "close",
      (code, signal) => end({ said: signal ? `by ${signal}` : `with ${code}`, clean: code === 0 }),
    );

    function end(how) {
      node.gone = true;
      resolve(how);
    }
  });
  return node;

  /** Settles when the node sees as many nodes online as there are to be. */
  async function ready(count, limit) {
    const end = Date.now() + limit;
    while (Date.now() < end && !node.gone) {
      const health = await fetch(`${url}/health`).then((answer) => answer.json()).catch(() => undefined);
      if (health?.onlineNodes === count) return;
      await pause(50);
    }
    if (!node.gone) throw new Error(`${name} did not meet the other nodes within ${limit / 1000} s`);
  }

  async function stop() {
    kill("SIGTERM");
    const late = setTimeout(() => kill("SIGKILL"), patience);
    await node.ended;
    clearTimeout(late);
  }

  function kill(signal) {
    try {
      if (!node.gone) process.kill(child.pid, signal);
    } catch {
      // It ended in the meantime.
    }
  }
}
