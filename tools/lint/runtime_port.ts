/**
 * The runtime port (`src/ports/runtime.ts`) is the only door to time, timers, randomness, crypto, network,
 * console and the host. `runtime-port/no-ambient` shuts the others, `runtime-port/no-import-effects` keeps
 * every import free of effects, in the files behind the door too.
 */

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const guarded = /^(src|adapters)\/|^mod\.ts$/;
const doors = /^src\/ports\/system_runtime\.ts$|^adapters\/(serve|node)\/|^adapters\/kubernetes\/host\.ts$/;

const members: Readonly<Record<string, readonly string[] | "*">> = {
  Date: ["now"],
  Math: ["random"],
  AbortSignal: ["timeout"],
  crypto: ["subtle", "randomUUID", "getRandomValues"], // by name, as Runtime has a `crypto` too
  performance: "*",
  console: "*",
  process: "*",
  Deno: "*",
  Bun: "*",
};
const functions = ["setTimeout", "setInterval", "setImmediate", "fetch"];
const instances = ["Date", "WebSocket", "EventSource", "Worker", "BroadcastChannel"];

const plugin: Deno.lint.Plugin = {
  name: "runtime-port",
  rules: {
    "no-ambient": {
      create: (context) => {
        if (!isGuarded(context.filename) || isDoor(context.filename)) return {};
        const report = (node: Deno.lint.Node, name: string) =>
          context.report({
            node,
            message: `${name} goes around the runtime port`,
            hint: "Take it from Runtime.",
          });
        return {
          MemberExpression(node) {
            const name = ambientMember(node);
            if (name !== undefined) report(node, name);
          },
          CallExpression(node) {
            const name = ambientFunction(node.callee);
            if (name !== undefined) report(node, name);
          },
          NewExpression(node) {
            const name = ambientInstance(node);
            if (name !== undefined) report(node, name);
          },
        };
      },
    },
    "no-import-effects": {
      create: (context) => {
        if (!isGuarded(context.filename)) return {};
        const check = (
          node: Deno.lint.CallExpression | Deno.lint.NewExpression,
          name: string | undefined,
        ) => {
          if (name === undefined || context.sourceCode.getAncestors(node).some(isLater)) return;
          context.report({ node, message: `${name} runs at import`, hint: "Move it into a function." });
        };
        return {
          CallExpression: (node) => check(node, ambientFunction(node.callee) ?? ambientMember(node.callee)),
          NewExpression: (node) => check(node, ambientInstance(node)),
          AwaitExpression(node) {
            if (context.sourceCode.getAncestors(node).some(isLater)) return;
            context.report({ node, message: "await at module scope delays every importer" });
          },
        };
      },
    },
  },
};
export default plugin;

function isGuarded(filename: string): boolean {
  return guarded.test(fromRoot(filename));
}

function isDoor(filename: string): boolean {
  return doors.test(fromRoot(filename));
}

function fromRoot(filename: string): string {
  const path = filename.replaceAll("\\", "/").replace(/^(?!\/)/, "/");
  return path.startsWith(root) ? path.slice(root.length) : path;
}

function ambientMember(node: Deno.lint.Node): string | undefined {
  if (node.type !== "MemberExpression") return undefined;
  const owner = globalName(node.object);
  const name = propertyName(node);
  const banned = owner === undefined ? undefined : members[owner];
  if (banned === undefined || (banned !== "*" && !(name !== undefined && banned.includes(name)))) {
    return undefined;
  }
  return `${owner}.${name ?? "[…]"}`;
}

function ambientFunction(callee: Deno.lint.Node): string | undefined {
  const name = globalName(callee);
  return name !== undefined && functions.includes(name) ? `${name}()` : undefined;
}

function ambientInstance(node: Deno.lint.NewExpression): string | undefined {
  const name = globalName(node.callee);
  if (name === undefined || !instances.includes(name)) return undefined;
  return name === "Date" && node.arguments.length > 0 ? undefined : `new ${name}()`;
}

/** `fetch` and `globalThis.fetch` alike. */
function globalName(node: Deno.lint.Node): string | undefined {
  if (node.type === "Identifier") return node.name;
  if (node.type !== "MemberExpression" || node.object.type !== "Identifier") return undefined;
  return node.object.name === "globalThis" ? propertyName(node) : undefined;
}

function propertyName(node: Deno.lint.MemberExpression): string | undefined {
  if (!node.computed && node.property.type === "Identifier") return node.property.name;
  return node.property.type === "Literal" ? String(node.property.value) : undefined;
}

function isLater(node: Deno.lint.Node): boolean {
  return node.type === "FunctionDeclaration" || node.type === "FunctionExpression" ||
    node.type === "ArrowFunctionExpression" || (node.type === "PropertyDefinition" && !node.static);
}
