// For Node 24: `node --import ./tests/shim/register.mjs --test 'tests/**/*.test.ts'`.
import { registerHooks } from "node:module";

const shim = new URL("./mod.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "bun:test") return { url: shim, shortCircuit: true };
    return next(specifier, context);
  },
});
