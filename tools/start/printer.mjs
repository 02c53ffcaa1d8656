// Prints what the nodes say, line by line, each with the node's name, in its color on a terminal.
import process from "node:process";

const colors = ["\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[32m"];

/** Makes the function that takes a node's output. `broken` is called when nobody reads any longer. */
export function printer(out, broken) {
  const colored = out.isTTY === true && !process.env.NO_COLOR;
  const names = [];
  out.on("error", broken);
  return (name, stream) => {
    if (!names.includes(name)) names.push(name);
    const prefix = `[${name}] `;
    const shown = colored ? `${colors[names.indexOf(name) % colors.length]}${prefix}\x1b[0m` : prefix;
    const printed = (line) => `${shown}${line.startsWith(prefix) ? line.slice(prefix.length) : line}\n`;
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      if (lines.length === 0 || out.write(lines.map(printed).join(""))) return;
      stream.pause();
      out.once("drain", () => stream.resume());
    });
    stream.on("end", () => {
      if (rest !== "") out.write(printed(rest));
    });
  };
}
