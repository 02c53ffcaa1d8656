// One line per finished stage, the output of a failed one, and on a terminal a line that says what runs.
import process from "node:process";

const running = new Map();
const live = process.stdout.isTTY === true;
const ticker = live ? setInterval(draw, 500) : undefined;
ticker?.unref();

export const progress = { start, end: () => clearInterval(ticker) };

/** Announces a stage; the answer reports its result. */
function start({ title, alone }) {
  const began = Date.now();
  running.set(title, began);
  return ({ passed, failed, skipped, output }) => {
    running.delete(title);
    erase();
    const skips = skipped > 0 ? `, ${skipped} skipped` : "";
    const counts = alone ? `: ${passed} passed, ${failed} failed${skips}` : "";
    console.log(`${failed === 0 ? "ok    " : "FAILED"} ${title}${counts} (${seconds(began)})`);
    if (failed > 0) console.log(`${shortened(output)}\n`);
    draw();
  };
}

function draw() {
  if (!live || running.size === 0) return;
  const line = [...running].map(([title, began]) => `${title} (${seconds(began)})`).join(", ");
  erase();
  process.stdout.write(line.slice(0, (process.stdout.columns || 80) - 1));
}

function erase() {
  if (live) process.stdout.write("\r\x1b[K");
}

/** The beginning says what broke first, the end sums up. */
function shortened(output) {
  const lines = output.trimEnd().split("\n");
  if (lines.length <= 400) return lines.join("\n");
  return [...lines.slice(0, 200), `… ${lines.length - 400} lines …`, ...lines.slice(-200)].join("\n");
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
