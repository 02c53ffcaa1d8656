/** From spawn to the first HTTP answer, and the memory of a process that then does nothing. */
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { start, stop } from "../lib/processes.mjs";

const SOURCE = ", from source";

/** One sample: `{ ms, mb }`. */
export async function sampleStartup(runtime, candidate, port, idle) {
  const begin = performance.now();
  const script = `startup/${candidate.replace(SOURCE, "")}.mjs`;
  const config = candidate.endsWith(SOURCE) ? "../deno.json" : "deno.json";
  const child = await start(runtime, [script, String(port)], { config });
  try {
    await firstAnswer(port);
    const ms = performance.now() - begin;
    await sleep(idle);
    return { ms, mb: residentMegabytes(child.pid) };
  } finally {
    await stop(child);
  }
}

// Any status will do: it is the server that answers.
function firstAnswer(port) {
  return new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", path: "/", agent: false }, (response) => {
      response.resume().on("end", resolve);
    }).on("error", reject);
  });
}

function residentMegabytes(pid) {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) / 1024;
}
