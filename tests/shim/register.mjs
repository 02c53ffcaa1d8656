// For Node 24: `node --import ./tests/shim/register.mjs --test 'tests/**/*.test.ts'`.
import { existsSync } from "node:fs";
import { registerHooks } from "node:module";

const shim = new URL("./mod.ts", import.meta.url).href;
const root = new URL("../../", import.meta.url).href;
const built = new URL("node_modules/@catga/catga/dist/", root).href;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "bun:test") return { url: shim, shortCircuit: true };
    return next(specifier.startsWith(".") ? builtInstead(specifier, context.parentURL) : specifier, context);
  },
});

/** Beside the packed package there is no source: `../src/x.ts` then means the built `x.js` within it. */
function builtInstead(specifier, parent) {
  const url = new URL(specifier, parent);
  const path = url.href.startsWith(root) ? url.href.slice(root.length) : "";
  if (!/^(src\/|adapters\/|mod\.ts$)/.test(path) || existsSync(url)) return specifier;
  return built + path.replace(/\.ts$/, ".js");
}
