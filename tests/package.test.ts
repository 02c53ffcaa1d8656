/** `deno.json` and `package.json` describe one package, and it depends on nothing. */

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readText } from "../tools/test/source_files.ts";

const deno = json("deno.json") as Manifest & { imports: Record<string, string> };
const npm = json("package.json") as Manifest & Record<string, Record<string, string>>;
const entries = Object.keys(deno.exports as Record<string, string>);

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly description: string;
  readonly exports: unknown;
}

describe("deno.json and package.json", () => {
  test.each(["name", "version", "license", "description"] as const)("agree on %s", (field) => {
    expect(npm[field]).toBe(deno[field]);
  });

  test("export the same entries, from the source and from dist", () => {
    const built = Object.fromEntries(
      sources().map(([name, path]) => {
        const file = path.replace("./", "./dist/").replace(/\.ts$/, "");
        return [name, { types: `${file}.d.ts`, default: `${file}.js` }];
      }),
    );
    expect(npm.exports as unknown).toEqual(built);
  });

  test.each(entries)("%s is a file", (name) => {
    expect(existsSync(new URL(`../${new Map(sources()).get(name)}`, import.meta.url))).toBe(true);
  });

  test("Deno, TypeScript and Bun map the package's own name to its source, Deno the peers to their range", () => {
    const { paths } = (json("tsconfig.json") as { compilerOptions: { paths: unknown } }).compilerOptions;
    const expected = sources().map(([name, path]) => [name.replace(".", "@catga/catga"), path] as const);
    const peers = Object.entries(npm["peerDependencies"] ?? {}).map((
      [peer, range],
    ) => [peer, `npm:${peer}@${range}`]);
    const shim = ["bun:test", "./tests/shim/mod.ts"];
    const onlyOnJsr = ["@nats-io/transport-deno", "jsr:@nats-io/transport-deno@^3.4.0"];
    expect(deno.imports).toEqual(Object.fromEntries([...expected, ...peers, onlyOnJsr, shim]));
    expect(paths).toEqual(Object.fromEntries(expected.map(([name, path]) => [name, [path]])));
  });

  test("the lint plugin is on", () => {
    expect((deno as unknown as { lint: { plugins: string[] } }).lint.plugins).toEqual([
      "./tools/lint/runtime_port.ts",
    ]);
  });
});

describe("dependencies", () => {
  test("there are none", () => {
    expect(npm["dependencies"]).toEqual({});
    expect(npm).not.toHaveProperty("optionalDependencies");
  });

  test("each peer is optional", () => {
    const peers = Object.keys(npm["peerDependencies"] ?? {});
    const optional = npm["peerDependenciesMeta"] as unknown as Record<string, { optional: boolean }>;
    expect(peers.filter((name) => optional[name]?.optional !== true)).toEqual([]);
  });

  test("each development dependency has one exact version", () => {
    const versions = Object.values(npm["devDependencies"] ?? {});
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  test.each(["package-lock.json", "bench/package-lock.json"])("%s names no registry", (path) => {
    const { packages } = json(path) as { packages: Record<string, { resolved?: string; link?: boolean }> };
    const addressed = Object.entries(packages).filter(([, { resolved, link }]) =>
      resolved !== undefined && !link
    );
    expect(addressed.map(([name]) => name)).toEqual([]);
  });

  test("the lock is of this package", () => {
    const { name, version, packages } = json("package-lock.json") as Manifest & {
      packages: Record<string, unknown>;
    };
    expect({ name, version }).toEqual({ name: npm.name, version: npm.version });
    expect(packages[""]).toMatchObject({ devDependencies: npm["devDependencies"] });
  });
});

function json(path: string): unknown {
  return JSON.parse(readText(path));
}

function sources(): [string, string][] {
  return Object.entries(deno.exports as Record<string, string>);
}
