/** Encrypted connections, and who comes in by certificates and by signed credentials. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { nkeys } from "@nats-io/nats-core";
import { nats, type NatsOptions, type NatsTls } from "@catga/catga/nats/node";
import { systemRuntime } from "@catga/catga/ports";
import { other } from "../kubernetes/certificates.ts";
import { authority, node, server as own } from "./certificates.ts";
import { type NatsServer, startNats } from "./server.ts";
import { failed, openLink } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "catga-tls-"));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const trusted = file("authority.pem", authority);
const files = `cert_file: "${file("own.pem", own.cert)}", key_file: "${file("own.key", own.key)}"`;
const encrypted = `tls { ${files} }`;
const runtime = systemRuntime({ log: () => {} });

const tcp = ({ url }: NatsServer, tls?: NatsTls, options: NatsOptions = {}): ReturnType<typeof nats> =>
  nats(url.replace("nats:", "tls:"), { runtime, ...options, ...(tls === undefined ? {} : { tls }) });

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ settings: encrypted, wss: encrypted, jetstream: false });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe("tls://", () => {
  test.each<[how: string, tls: NatsTls]>([
    ["given", { ca: authority }],
    ["in a file", { caFile: trusted }],
  ])("goes by whom it trusts, %s", async (_how, tls) => {
    await using backend = await tcp(server, tls);
    expect((await backend.health()).healthy).toBe(true);
    const self = { id: "a", endpoint: "a" };
    const { transport } = backend.open({ self, runtime });
    await transport.serve(self, async (frame, reply) => void await reply(frame));
    const large = "x".repeat(200_000);
    const answers: unknown[] = [];
    await transport.exchange(self, large, (frame) => void answers.push(frame));
    expect(answers).toEqual([large]);
  });

  test.each<[how: string, tls: NatsTls | undefined]>([
    ["whom the platform does not know", undefined],
    ["whom it was not told of", { ca: other.cert }],
  ])("does not go to a server %s", async (_how, tls) => {
    expect(await failed(tcp(server, tls))).toBe("UNAVAILABLE");
  });

  test("goes where the server asks for it, also by nats://", async () => {
    await using backend = await nats(server.url, { runtime, tls: { ca: authority } });
    expect((await backend.health()).healthy).toBe(true);
  });

  test("brings a certificate of its own, without which it is not let in", async () => {
    const settings = `tls { ${files}, verify: true, ca_file: "${trusted}" }`;
    await using strict = await startNats({ settings, jetstream: false });
    const { cert, key } = node;
    const [certFile, keyFile] = [file("node.pem", cert), file("node.key", key)];
    for (const tls of [{ ca: authority, cert, key }, { ca: authority, certFile, keyFile }]) {
      await using backend = await tcp(strict, tls);
      expect((await backend.health()).healthy).toBe(true);
    }
    // By TLS 1.3 whoever is refused only sees that nobody answers.
    expect(await failed(tcp(strict, { ca: authority }, { connectTimeout: 500 }))).toBe("UNAVAILABLE");
  });
});

describe("wss://", () => {
  const worker = fileURLToPath(new URL("./tls_worker.ts", import.meta.url));

  // Whom a WebSocket trusts is said when a process begins, and to Bun's when it is made.
  test.each([
    ["whom the process trusts", trusted, "healthy"],
    ["whom it does not know", undefined, "UNAVAILABLE"],
  ])("a server %s", async (_whom, whom, outcome) => {
    expect(await said(worker, [server.ws.replace("ws:", "wss:")], whom)).toBe(outcome);
  }, 30_000);
});

describe("credentials", () => {
  test("signed for a user of an account come in, and those of a stranger do not", async () => {
    const [operator, account, stranger] = [
      nkeys.createOperator(),
      nkeys.createAccount(),
      nkeys.createAccount(),
    ];
    const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 };
    const settings = [
      `operator: ${signed(operator, operator, { type: "operator" })}`,
      `resolver: MEMORY`,
      `resolver_preload { ${account.getPublicKey()}: ${
        signed(operator, account, { type: "account", limits })
      } }`,
    ].join("\n");
    await using strict = await startNats({ settings, jetstream: false });
    const comingIn = (by: nkeys.KeyPair): NatsOptions => ({ credentials: credentialsBy(by) });
    await using link = await openLink(strict.ws, comingIn(account));
    expect(link.up).toBe(true);
    expect(await failed(link.ask("nobody"))).toBe("UNAVAILABLE");
    expect(await failed(openLink(strict.ws, comingIn(stranger)))).toBe("UNAVAILABLE");
  });
});

/** A token that says something of somebody, as servers read it. */
function signed(by: nkeys.KeyPair, of: nkeys.KeyPair, says: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    iss: by.getPublicKey(),
    sub: of.getPublicKey(),
    iat: 1_700_000_000,
    jti: "one",
    name: "x",
  };
  const text = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${
    part({ ...claims, nats: { version: 2, ...says } })
  }`;
  return `${text}.${Buffer.from(by.sign(new TextEncoder().encode(text))).toString("base64url")}`;
}

/** The text of a `.creds` file. */
function credentialsBy(account: nkeys.KeyPair): string {
  const user = nkeys.createUser();
  const token = signed(account, user, { type: "user", subs: -1, data: -1, payload: -1 });
  const seed = new TextDecoder().decode(user.getSeed());
  const block = (name: string, text: string): string =>
    `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n\n`;
  return block("NATS USER JWT", token) + block("USER NKEY SEED", seed);
}

/** What a process says that trusts a certificate. */
function said(file: string, args: readonly string[], trusted: string | undefined): Promise<string> {
  const loaders = process.execArgv.filter((arg, at, all) =>
    arg.startsWith("--import") || all[at - 1] === "--import"
  );
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : loaders;
  const trust = trusted === undefined
    ? {}
    : { NODE_EXTRA_CA_CERTS: trusted, DENO_CERT: trusted, TRUSTED: trusted };
  const child = spawn(process.execPath, [...flags, file, ...args], {
    env: { ...process.env, ...trust },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => text += part);
  return new Promise((resolve) => child.on("close", () => resolve(text.trim())));
}
