// Child processes, each the leader of a group, so that whatever it started ends with it.
import { spawn } from "node:child_process";
import process from "node:process";
import { root } from "../install.mjs";

const groups = new Set();
const longest = 20 * 60_000;

process.on("exit", killAll);
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]]) {
  process.on(signal, () => {
    for (const pid of groups) kill(pid, "SIGTERM");
    setTimeout(() => process.exit(code), 1000);
  });
}

/** Runs a command; answers its exit code and its output, both streams as they came. */
export function exec([command, ...args], { cwd = root, env = {} } = {}) {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, args, {
      cwd,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...environment(), ...env },
    });
    const pid = child.pid;
    if (pid !== undefined) groups.add(pid);
    const limit = setTimeout(() => {
      output += `\nstopped: it ran for more than ${longest / 60_000} minutes\n`;
      kill(pid, "SIGKILL");
    }, longest);
    child.stdout.on("data", (text) => output += text);
    child.stderr.on("data", (text) => output += text);
    child.on("error", (error) => finish(127, `${error.message}\n`));
    child.on("exit", (code, signal) => {
      // A straggler holds the pipes open, so "close" might never come.
      afterEnd(pid).then((left) => {
        if (!left) return finish(code ?? 1, signal === null ? "" : `\nended by ${signal}\n`);
        kill(pid, "SIGKILL");
        finish(code || 1, "\nit left processes running\n");
      });
    });

    function finish(code, note) {
      clearTimeout(limit);
      groups.delete(pid);
      resolve({ code, output: output + note });
    }
  });
}

/** Whether anything of the group is still there two seconds after its leader ended. */
async function afterEnd(pid) {
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, i === 0 ? 10 : 100));
    if (!kill(pid, 0)) return false;
  }
  return true;
}

function killAll() {
  for (const pid of groups) kill(pid, "SIGKILL");
}

function kill(pid, signal) {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/** Without colors, questions and what the npm that started us left behind. */
function environment() {
  const kept = Object.entries(process.env).filter(([name]) =>
    name !== "FORCE_COLOR" && !/^npm_(?!config_)/.test(name)
  );
  return { ...Object.fromEntries(kept), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_NO_PROMPT: "1" };
}
