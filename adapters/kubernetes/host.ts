import { trouble } from "./trouble.ts";

interface ProcessLike {
  getBuiltinModule?(name: string): unknown;
}

/**
 * A module of Node's, which Bun and Deno have as well: files, DNS and TLS have no place in `Runtime`. Throws a
 * `CatgaError` with `VALIDATION` where there is none.
 *
 * @param instead what to give in its place, for the message
 */
export function builtin<Module>(name: string, instead: string): Module {
  const { process } = globalThis as { readonly process?: ProcessLike };
  const module = process?.getBuiltinModule?.(name);
  if (module === undefined) {
    throw trouble(
      "VALIDATION",
      `Cannot use ${name}: this runtime has no such module. Give ${instead} instead`,
    );
  }
  return module as Module;
}
