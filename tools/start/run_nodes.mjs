// Runs nodes as processes until a signal. A node that dies while the others run is reported and left alone.
import process from "node:process";
import { startNode } from "./node_process.mjs";
import { refuseTaken, wantedPorts } from "./ports.mjs";
import { printer } from "./printer.mjs";

const longestStart = 60_000;

/**
 * `prepare` answers `{ commands, names, env }`: what to run, how the nodes are called, and what each gets besides, told its
 * place and all urls. `begun` is told of the nodes when all see each other; the process ends when it answers a number.
 * `end` runs when all nodes are gone.
 */
export async function runNodes({ prepare, begun, end = () => {} }) {
  const nodes = [];
  let stopping;
  let failed = false;

  process.on("exit", () => nodes.forEach((node) => node.kill("SIGKILL")));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (stopping !== undefined) process.exit(1);
      stop("Stopping; once more ends them at once");
    });
  }

  try {
    await start();
  } catch (error) {
    console.error(`Cannot start: ${error.message}`);
    failed = true;
    await stop();
  }

  async function start() {
    const { commands, names, env } = await prepare();
    const ports = await wantedPorts(process.env.CATGA_PORTS ?? "5001,5002,5003", commands.length);
    await refuseTaken(ports);
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const print = printer(process.stdout, () => stop());
    if (stopping !== undefined) return;
    const launch = (at) => {
      const given = { NODE_ID: names[at], PORT: String(ports[at]), ...env(at, urls) };
      const node = startNode(names[at], urls[at], commands[at], given, print);
      nodes.push(node);
      node.ended.then((how) => ended(node, how));
      return node;
    };
    const first = commands.map((_, at) => launch(at));
    const died = Promise.race(first.map(async (node) => {
      const how = await node.ended;
      if (stopping === undefined) throw new Error(`${node.name} ended ${how.said} before it was ready`);
    }));
    await Promise.race([died, Promise.all(first.map((node) => node.ready(first.length, longestStart)))]);
    died.catch(() => {});
    if (stopping !== undefined) return;
    const code = await begun(first, launch);
    if (code === undefined) return;
    failed ||= code !== 0;
    await stop();
  }

  function ended(node, { said, clean }) {
    if (stopping === undefined && node.expected !== true || stopping !== undefined && !clean) {
      failed = true;
      console.error(`${node.name} ended ${said}`);
    }
    if (stopping === undefined && nodes.every((each) => each.gone)) finish();
  }

  /** Asks all to end; those that have not done so at the deadline are killed. */
  function stop(said) {
    stopping ??= Promise.all(nodes.map((node) => node.stop())).then(finish);
    if (said !== undefined) console.log(said);
    return stopping;
  }

  async function finish() {
    await end();
    process.exit(failed ? 1 : 0);
  }
}
