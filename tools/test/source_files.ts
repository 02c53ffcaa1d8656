/** The source as the tests on it see it: code without comments and text, and what each file imports. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

export interface SourceFile {
  /** From the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked out, line for line. */
  readonly code: string;
  readonly imports: readonly Import[];
}

export interface Import {
  readonly specifier: string;
  /** The file a relative specifier means, from the root; any other specifier as it is. */
  readonly target: string;
  readonly typeOnly: boolean;
}

const root = new URL("../../", import.meta.url);

export function readText(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

/** All TypeScript files of these folders (or the files themselves). */
export function sourceFiles(...paths: readonly string[]): SourceFile[] {
  return paths.flatMap(filesOf).filter((path) => path.endsWith(".ts")).map((path) => {
    const text = readText(path);
    return { path, text, code: blank(text, true), imports: importsOf(path, blank(text, false)) };
  });
}

/** Blanks out comments and, if asked, the contents of strings and regular expressions. */
export function blank(text: string, strings: boolean): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?<=(?:^|[\n(,=:[!&|?{};]|return|=>)[ \t]*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*|[`{}]/g;
  const parts: string[] = [];
  const templates: number[] = [];
  let depth = 0;
  let end = 0;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [part] = found;
    parts.push(text.slice(end, found.index));
    end = token.lastIndex;
    if (part === "{") depth++;
    else if (part === "}") depth--;
    if (part === "`" || (part === "}" && templates.at(-1) === depth)) {
      if (part === "}") templates.pop();
      const stop = templateEnd(text, end);
      if (text[stop - 1] === "{") templates.push(depth++);
      parts.push(
        part,
        strings ? spaces(text.slice(end, stop - 1)) : text.slice(end, stop - 1),
        text.slice(stop - 1, stop),
      );
      end = token.lastIndex = stop;
    } else if (part.startsWith("//") || part.startsWith("/*")) parts.push(spaces(part));
    else if (part.length > 1 && strings) parts.push(part[0]!, spaces(part.slice(1, -1)), part.at(-1)!);
    else parts.push(part);
  }
  return parts.join("") + text.slice(end);
}

/** Just behind the next "`" or "${" of a template that is open at `start`. */
function templateEnd(text: string, start: number): number {
  const stop = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
  stop.lastIndex = start;
  return stop.test(text) ? stop.lastIndex : text.length;
}

function spaces(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

function importsOf(path: string, code: string): Import[] {
  const statements =
    /\b(?:import|export)\s+(type\s+)?([\w*{}\s,$]*?)\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g;
  return [...code.matchAll(statements)].map(([, type, names = "", from, bare]) => {
    const specifier = from ?? bare ?? "";
    const listed = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1]?.split(",").filter((name) => name.trim() !== "") ??
      [];
    const typeOnly = type !== undefined ||
      (listed.length > 0 && listed.every((name) => /^\s*type\s/.test(name)));
    const relative = specifier.startsWith(".");
    return { specifier, typeOnly, target: relative ? posix.join(posix.dirname(path), specifier) : specifier };
  });
}

function filesOf(path: string): string[] {
  if (!existsSync(new URL(path, root))) return [];
  if (path.endsWith(".ts")) return [path];
  return readdirSync(new URL(path, root), { withFileTypes: true }).flatMap((each) =>
    each.isDirectory() ? filesOf(`${path}/${each.name}`) : [`${path}/${each.name}`]
  );
}
