import type { Method } from "./route.ts";

const PATTERN = /^(GET|POST|PUT|PATCH|DELETE|QUERY) (\/|(?:\/(?::[A-Za-z_]\w*|[\w.~-]+))+)$/;

/** Takes a pattern such as `GET /orders/:id` apart. */
export function pathOf(pattern: string): { method: Method; path: string; params: readonly string[] } {
  const parts = PATTERN.exec(pattern);
  if (parts === null) {
    throw new RangeError(
      `Cannot route "${pattern}": a pattern is a method, a space and a path of plain segments and :names`,
    );
  }
  const path = parts[2]!;
  const params = path.split("/").filter((segment) => segment.startsWith(":")).map((segment) =>
    segment.slice(1)
  );
  const reserved = params.find((name, at) => name === "__proto__" || params.indexOf(name) !== at);
  if (reserved !== undefined) {
    throw new RangeError(`Cannot route "${pattern}": :${reserved} cannot stand there`);
  }
  return { method: parts[1] as Method, path, params };
}

/**
 * A path with values in the places of its parameters; `undefined` if a parameter has none that a path can carry: an
 * empty segment, `.` and `..` mean another path.
 */
export function fill(path: string, values: Readonly<Record<string, unknown>>): string | undefined {
  let complete = true;
  const filled = path.replace(/:(\w+)/g, (_, name: string) => {
    const value = values[name];
    const text = value === undefined || value === null ? "" : String(value);
    if (text === "" || text === "." || text === ".." || !text.isWellFormed()) complete = false;
    return complete ? encodeURIComponent(text) : "";
  });
  return complete ? filled : undefined;
}
