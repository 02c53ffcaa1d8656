import type { Signer } from "../../src/ports/runtime.ts";
import { builtin } from "./process.ts";

/** The part of `node:crypto` that is used. */
interface CryptoModule {
  createHmac(algorithm: "sha256", key: string): Hash;
  createHash(algorithm: "sha256"): Hash;
}

interface Hash {
  update(data: string | Uint8Array): Hash;
  digest(encoding: "base64url"): string;
}

/** Cryptography that answers at once; `undefined` on a runtime without `node:crypto`. */
export function syncSigner(): Signer | undefined {
  const crypto = builtin<CryptoModule>("node:crypto");
  if (crypto === undefined) return undefined;
  return {
    hmac: (key, text) => crypto.createHmac("sha256", key).update(text).digest("base64url"),
    hash: (body) => crypto.createHash("sha256").update(body).digest("base64url"),
  };
}
