/** The part of Node's `process` that is used; Bun and Deno have it as well. */
export interface ProcessLike {
  on(event: string, run: () => void): unknown;
  off(event: string, run: () => void): unknown;
  exit(code: number): never;
  getBuiltinModule?(name: string): unknown;
}

/** The process this runs in; `undefined` where there is none. */
export function processHere(): ProcessLike | undefined {
  return (globalThis as { readonly process?: ProcessLike }).process;
}

/** A module of Node's that needs no import; `undefined` where there is no such thing. */
export function builtin<Module>(name: string): Module | undefined {
  return processHere()?.getBuiltinModule?.(name) as Module | undefined;
}
