/** The rules of the source tree, read from the source itself. */

import { describe, expect, test } from "bun:test";
import { ambientUses, importEffects } from "../tools/test/ambient.ts";
import { blank, readText, type SourceFile, sourceFiles } from "../tools/test/source_files.ts";

/** Each room of `src` and what it may import beside itself and `internal`; "type" allows types alone. */
const rooms: Readonly<Record<string, Readonly<Record<string, "all" | "type">>>> = {
  result: allow("schema"),
  schema: allow("result"),
  message: allow("result", "schema"),
  ports: { ...allow("result"), message: "type" },
  mediator: allow("result", "schema", "message", "ports"),
  behaviors: allow("result", "schema", "message", "ports", "mediator"),
  wire: allow("result", "message", "ports"),
  durable: allow("result", "schema", "message", "ports", "mediator", "wire", "ids"),
  cluster: allow("result", "schema", "message", "ports", "mediator", "behaviors", "wire", "durable"),
  testing: allow(
    "result",
    "schema",
    "message",
    "ports",
    "mediator",
    "behaviors",
    "wire",
    "durable",
    "cluster",
  ),
  ids: { ...allow("result"), ports: "type" },
  internal: {},
  /** `mod.ts`: importing the core loads neither behaviors nor a cluster. */
  core: allow("result", "schema", "message", "ports", "mediator"),
};

/** What an adapter may import of `src`, of other adapters and of packages. */
const anyAdapter = allow("result", "schema", "ports", "internal");
const adapters: Readonly<Record<string, Adapter>> = {
  memory: {},
  nats: { packages: ["@nats-io"] },
  redis: { packages: ["@redis/client", "hono", "node:buffer"] },
  sqlite: {},
  http: {},
  hono: {
    src: { ...allow("message", "mediator"), cluster: "type" },
    adapters: ["client"],
    packages: ["hono"],
  },
  client: { src: allow("message", "mediator") },
  kubernetes: {},
  serve: { packages: ["@hono/node-server", "undici", "node:"] },
};
interface Adapter {
  readonly src?: Readonly<Record<string, "all" | "type">>;
  readonly adapters?: readonly string[];
  readonly packages?: readonly string[];
}

/** Files behind the runtime port: the only ones that may touch the host. */
const hostDoors = ["src/ports/system_runtime.ts", "adapters/serve/", "adapters/kubernetes/host.ts"];

/** A file of more than 250 lines stands here with its reason. */
const longFiles: Readonly<Record<string, string>> = {};

/** How many lines of a file may say `any`, each under its `deno-lint-ignore` marker. */
const anyLines: Readonly<Record<string, number>> = {
  "src/message/contract.ts": 10,
  "src/message/message.ts": 3,
  "src/mediator/handle.ts": 1,
};

const core = sourceFiles("mod.ts");
const src = sourceFiles("src");
const adapterFiles = sourceFiles("adapters");
const all = [...core, ...src, ...adapterFiles];

describe("rooms", () => {
  test("the source is there", () => {
    expect(src.length).toBeGreaterThan(10);
    expect(
      problems(all, ({ path }) => roomOf(path) === undefined && adapterOf(path) === undefined ? [path] : []),
    )
      .toEqual([]);
  });

  test("a room imports itself, internal and the rooms before it", () => {
    expect(problems([...core, ...src], ({ path, imports }) => {
      const room = roomOf(path)!;
      return imports.flatMap(({ target, typeOnly }) => {
        const other = roomOf(target);
        if (other === undefined) return [`imports ${target}`];
        const fits = other === room || (other === "internal" && room !== "ids") ||
          permits(rooms[room]?.[other], typeOnly);
        return fits ? [] : [`${room} imports ${typeOnly ? "types of " : ""}${other}: ${target}`];
      });
    })).toEqual([]);
  });

  test("an adapter imports the ports, and of the rest only what stands in its row", () => {
    expect(problems(adapterFiles, ({ path, imports }) => {
      const name = adapterOf(path)!;
      const row = adapters[name];
      if (row === undefined) return [`${name} has no row`];
      return imports.flatMap(({ target, typeOnly }) => {
        const room = roomOf(target);
        const adapter = adapterOf(target);
        const fits = adapter === name ||
          (adapter !== undefined && isEntryOf(row.adapters, adapter, target)) ||
          (room !== undefined && permits(anyAdapter[room] ?? row.src?.[room], typeOnly)) ||
          (room === undefined && adapter === undefined && isPackageOf(row.packages, target));
        return fits ? [] : [`imports ${typeOnly ? "types of " : ""}${target}`];
      });
    })).toEqual([]);
  });

  test("only entries re-export, and only from outside is an entry imported", () => {
    expect(
      problems(
        src,
        ({ imports }) =>
          imports.filter(({ target }) => target.endsWith("/mod.ts")).map(({ target }) => `imports ${target}`),
      ),
    )
      .toEqual([]);
  });
});

describe("the runtime port is the only door", () => {
  test("nothing else reads a clock, sets a timer, draws a random number or talks to the host", () => {
    const guarded = all.filter(({ path }) => !hostDoors.some((door) => path.startsWith(door)));
    expect(problems(guarded, ({ code }) => ambientUses(code))).toEqual([]);
  });

  test("no import has an effect", () => {
    expect(problems(all, ({ code }) => importEffects(code))).toEqual([]);
  });

  test.each([
    ["const at = Date.now();", 1],
    ["const at = new Date(), then = new Date(5);", 1],
    ["const id = globalThis.crypto.randomUUID(); void fetch ('x'); performance\n  .now()", 3],
    ["const log = `${console.log(1)}`; // Date.now()", 1],
    ["const hash = runtime.crypto.hash(body), mac = crypto.hmac(key, hash);", 0],
    ["runtime.fetch(x); this.#process.x; const o = { console: 1 };", 0],
    ["interface Web { fetch(request: Request): Promise<Response> }", 0],
    ["const web = { fetch(request) { return ask(request); } };", 0],
    ["const text = 'Date.now()', pattern = /fetch(x)/; /* setTimeout(f) */", 0],
  ])("the search sees code, and neither text nor comments: %s", (text, uses) => {
    expect(ambientUses(blank(text, true))).toHaveLength(uses);
  });

  test("the search sees what runs at import", () => {
    const text = "function now() {\n  return Date.now();\n}\nconst start = Date.now();\nawait now();\n";
    expect(importEffects(text)).toEqual(["line 4: Date.now", "line 5: await"]);
  });
});

describe("shape", () => {
  test("a file has at most 250 lines, or a reason", () => {
    expect(problems(all, ({ path, text }) => {
      const lines = text.trimEnd().split("\n").length;
      return lines > 250 && longFiles[path] === undefined ? [`${lines} lines`] : [];
    })).toEqual([]);
  });

  test("each entry opens with a module's documentation", () => {
    const { exports } = JSON.parse(readText("deno.json")) as { exports: Record<string, string> };
    const entries = sourceFiles(...Object.values(exports).map((path) => path.replace("./", "")));
    expect(entries).toHaveLength(Object.keys(exports).length);
    expect(
      problems(
        entries,
        ({ text }) => /^\/\*\*(?:(?!\*\/)[\s\S])*@module\b/.test(text) ? [] : ["no /** … @module */"],
      ),
    ).toEqual([]);
  });

  test("any is rare, marked and counted", () => {
    expect(problems(all, ({ path, text, code }) => {
      const lines = text.split("\n");
      const said = code.split("\n").flatMap((line, i) => /(?<![.\w])any\b(?!\s*[(:])/.test(line) ? [i] : []);
      const unmarked = said.filter((i) => !lines[i - 1]?.includes("deno-lint-ignore no-explicit-any"));
      const tooMany = said.length > (anyLines[path] ?? 0);
      return [
        ...unmarked.map((i) => `line ${i + 1}: any without its marker`),
        ...(tooMany ? [`${said.length} lines say any, ${anyLines[path] ?? 0} may`] : []),
      ];
    })).toEqual([]);
  });

  test("no test is skipped or singled out without a condition", () => {
    expect(
      problems(
        sourceFiles("tests"),
        ({ path, code }) =>
          path.startsWith("tests/shim/")
            ? []
            : found(code, /\b(?:test|it|describe)(?:\.\w+)*\.(?:skip|only|todo)\b/g),
      ),
    )
      .toEqual([]);
  });
});

function allow(...names: readonly string[]): Record<string, "all" | "type"> {
  return Object.fromEntries(names.map((name) => [name, "all" as const]));
}

function permits(permit: "all" | "type" | undefined, typeOnly: boolean): boolean {
  return permit === "all" || (permit === "type" && typeOnly);
}

function roomOf(path: string): string | undefined {
  if (path === "mod.ts") return "core";
  const name = /^src\/(\w+)(?:\.ts$|\/)/.exec(path)?.[1];
  return name !== undefined && name in rooms && name !== "core" ? name : undefined;
}

function adapterOf(path: string): string | undefined {
  return /^adapters\/(\w+)\//.exec(path)?.[1];
}

function isEntryOf(names: readonly string[] | undefined, adapter: string, target: string): boolean {
  return names?.includes(adapter) === true && target === `adapters/${adapter}/mod.ts`;
}

function isPackageOf(names: readonly string[] | undefined, target: string): boolean {
  return names?.some((name) =>
    name.endsWith(":") ? target.startsWith(name) : target === name || target.startsWith(`${name}/`)
  ) === true;
}

function found(code: string, pattern: RegExp): string[] {
  return [...code.matchAll(pattern)].map((match) =>
    `line ${code.slice(0, match.index).split("\n").length}: ${match[0].trim()}`
  );
}

function problems(files: readonly SourceFile[], check: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap((file) => check(file).map((problem) => `${file.path}: ${problem}`));
}
