/** Finds what goes around the runtime port, by text alone: it holds even when the lint plugin doesn't run. */

const members = String.raw`(?:Date\s*\.\s*now|Math\s*\.\s*random|AbortSignal\s*\.\s*timeout)\b`;
/** By name, as Runtime has a `crypto` too. */
const secrets = String.raw`crypto\s*\.\s*(?:subtle|randomUUID|getRandomValues)\b`;
const owners = String.raw`(?:performance|console|process|Deno|Bun)\s*\.`;
const calls = String.raw`(?:setTimeout|setInterval|setImmediate|fetch)\s*\(`;
const instances = String.raw`new\s+(?:Date\s*\(\s*\)|(?:WebSocket|EventSource|Worker|BroadcastChannel)\s*\()`;
const ambient = new RegExp(
  String.raw`(?<![.\w$#])(?:globalThis\s*\.\s*)?(?:${members}|${secrets}|${owners}|${calls}|${instances})`,
  "g",
);

/** Each use in code that has no comments and no text (see `blank`), with its line. */
export function ambientUses(code: string): string[] {
  return [...code.matchAll(ambient)].filter((match) => !isDeclared(code, match)).map((match) =>
    `line ${code.slice(0, match.index).split("\n").length}: ${match[0]}`
  );
}

/** The same, of the code that runs at import. */
export function importEffects(code: string): string[] {
  const top = moduleScope(code).split("\n").map((line) => line.includes("=>") ? "" : line).join("\n");
  const waits = [...top.matchAll(/(?<![.\w$#])await\b/g)];
  return ambientUses(top).concat(
    waits.map(({ index }) => `line ${top.slice(0, index).split("\n").length}: await`),
  );
}

/** A method or its signature that bears the name: `fetch(request: Request): Promise<Response>`. */
function isDeclared(code: string, match: RegExpExecArray): boolean {
  if (!match[0].endsWith("(") || /^(?:new|globalThis)\b/.test(match[0])) return false;
  let depth = 1;
  let end = match.index + match[0].length;
  for (; end < code.length && depth > 0; end++) depth += code[end] === "(" ? 1 : code[end] === ")" ? -1 : 0;
  return /(?:^|[{};,]|\basync)\s*$/.test(code.slice(0, match.index)) && /^\s*[:{]/.test(code.slice(end));
}

function moduleScope(code: string): string {
  let depth = 0;
  return code.replace(/[^\n]/g, (char) => {
    if (char === "{") depth++;
    else if (char === "}") depth--;
    else if (depth === 0) return char;
    return " ";
  });
}
