const DEPTH = 64;
const NODES = 100_000;

/** Why data was refused. */
export class UnsafeJsonError extends Error {
  override readonly name = "UnsafeJsonError";
}

/** Reads JSON and refuses what is nested too deep, too large or made to reach a prototype. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  checkTree(value);
  return value;
}

/** Refuses a tree deeper than 64 levels, with over 100,000 nodes, or with keys that reach a prototype. */
export function checkTree(value: unknown): void {
  if (typeof value === "object" && value !== null) walk(value, 1, 1);
}

function walk(value: object, depth: number, nodes: number): number {
  if (depth > DEPTH) throw new UnsafeJsonError(`It is nested deeper than ${DEPTH} levels`);
  if (Array.isArray(value)) {
    nodes += value.length;
    if (nodes > NODES) throw new UnsafeJsonError(`It has more than ${NODES} parts`);
    for (let at = 0; at < value.length; at++) {
      const item: unknown = value[at];
      if (typeof item === "object" && item !== null) nodes = walk(item, depth + 1, nodes);
    }
    return nodes;
  }
  for (const key in value) {
    if (++nodes > NODES) throw new UnsafeJsonError(`It has more than ${NODES} parts`);
    if (key === "__proto__") throw new UnsafeJsonError("It has a key named __proto__");
    const item: unknown = (value as Record<string, unknown>)[key];
    if (typeof item !== "object" || item === null) continue;
    if (key === "constructor" && Object.hasOwn(item, "prototype")) {
      throw new UnsafeJsonError("It has a key named constructor.prototype");
    }
    nodes = walk(item, depth + 1, nodes);
  }
  return nodes;
}
