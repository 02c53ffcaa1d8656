import { builtin } from "./host.ts";
import { codeOf, trouble } from "./trouble.ts";

/** The part of `node:fs/promises` that is used. */
interface FileModule {
  readFile(path: string, encoding: "utf8"): Promise<string>;
}

/**
 * Reads a text file, anew each time it is called: a token that Kubernetes mounts is replaced while the pod runs.
 * White space around the text is left out. Needs Deno, Bun or Node, and on Deno `--allow-read`.
 *
 * What it answers rejects with a `CatgaError`: `VALIDATION` on a runtime without files, `UNAVAILABLE` when the file
 * cannot be read.
 *
 * @example
 * ```ts
 * import { kubernetes, mountedFile } from "@catga/catga/kubernetes";
 * const peers = kubernetes({ service: "orders", token: mountedFile("/var/run/secrets/tokens/catga") });
 * ```
 */
export function mountedFile(path: string): () => Promise<string> {
  return async () => {
    const files = builtin<FileModule>("node:fs/promises", `the text that ${path} would hold`);
    try {
      return (await files.readFile(path, "utf8")).trim();
    } catch (error) {
      throw trouble(
        "UNAVAILABLE",
        `Cannot read ${path}: ${
          codeOf(error)
        }. Run in a pod with a service account, or give what it would hold`,
      );
    }
  };
}
