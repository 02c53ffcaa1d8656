/** An API server whose certificate only a given authority vouches for, as those of clusters are. */

import { describe, expect, test } from "bun:test";
import { kubernetes, mountedFile } from "@catga/catga/kubernetes";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasty, pods, sees, slice } from "./support.ts";

const skipped = !hasOpenssl();

describe("a certificate authority", () => {
  test.skipIf(skipped)("is trusted when it is given, and refused when it is not", async () => {
    const folder = await mkdtemp(join(tmpdir(), "catga-"));
    const other = certificate(folder, "other");
    const { key, cert } = certificate(folder, "own");
    const items = [slice("a", 1, { endpoints: pods("10.0.0.1") })];
    const asked: unknown[] = [];
    const server = createServer(
      { key: await readFile(key), cert: await readFile(cert) },
      (request, reply) => {
        asked.push(request.headers.authorization);
        reply.writeHead(200, { "content-type": "application/json" });
        if (request.url!.includes("watch=1")) reply.write("\n");
        else reply.end(JSON.stringify({ items, metadata: { resourceVersion: "5" } }));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const options = {
      service: "orders",
      namespace: "shop",
      api: `https://127.0.0.1:${port}`,
      token: "s3cret",
    };

    const { runtime, logs } = hasty();
    const trusting = kubernetes({ ...options, ca: mountedFile(cert) }).open(runtime);
    const doubting = kubernetes({ ...options, ca: mountedFile(other.cert) }).open(runtime);
    try {
      await sees(trusting, "http://10.0.0.1:5001");
      expect(asked[0]).toBe("Bearer s3cret");
      await doubting.ready;
      expect(doubting.endpoints()).toEqual([]);
      expect(doubting.failures).toBeGreaterThan(0);
      expect(trusting.failures).toBe(0);
      expect(JSON.stringify(logs)).not.toContain("s3cret");
    } finally {
      await trusting[Symbol.asyncDispose]();
      await doubting[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    }
  });
});

function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A certificate that vouches for itself and for 127.0.0.1. */
function certificate(folder: string, name: string): { readonly key: string; readonly cert: string } {
  const key = join(folder, `${name}.key`);
  const cert = join(folder, `${name}.crt`);
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509", "-days", "2"];
  const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", ...kind, ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { key, cert };
}
