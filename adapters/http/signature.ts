import type { Signer } from "../../src/ports/runtime.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { Seal } from "./seal.ts";

/** What a frame says of itself in its `catga-auth` header. */
export interface Claim {
  /** Everything that is signed beside the body: the header up to its last separator. */
  readonly said: string;
  readonly key: string;
  /** The sender's name, encoded, and the random start of its count. */
  readonly sender: string;
  /** The target's name, encoded. */
  readonly to: string;
  /** In ms since 1970 by the sender's clock. */
  readonly time: number;
  readonly count: number;
  readonly mac: string;
}

/** Signs frames and checks signatures; stays synchronous where the runtime's cryptography does. */
export interface Keyring {
  /** The name of the key that signs; `none` without a secret. */
  readonly current: string | Promise<string>;
  /** The signature of a header's text and a body. */
  sign(said: string, body: string | Uint8Array): string | Promise<string>;
  /** Whether the claim was made by someone who holds one of the keys. */
  verify(claim: Claim, body: Uint8Array): boolean | Promise<boolean>;
  /**
   * What signs the answer to a request; `undefined` where nothing is signed.
   *
   * @param key the name of the key that signed the request; it was verified, or signed here
   * @param mac the request's signature
   */
  seal(key: string, mac: string): Seal | undefined;
}

const VERSION = "1";
const NONE = "none";
const LONGEST = 1024;
/** Characters of a text that is signed as it is; of a longer one its hash is. */
const SHORT = 2048;
const NONCE = /^([0-9a-z]{1,32})\.(0|[1-9]\d{0,14})$/;
const TIME = /^\d{1,15}$/;

/** The signed part of a header. Names come encoded, so no value holds a separator. */
export function say(key: string, from: string, to: string, time: number, nonce: string): string {
  return `${VERSION};${key};${from};${to};${time};${nonce}`;
}

/** Takes a header apart; `undefined` for anything this version does not write itself. */
export function readClaim(header: string | null): Claim | undefined {
  if (header === null || header.length > LONGEST) return undefined;
  const end = header.lastIndexOf(";");
  const said = header.slice(0, end);
  const [version, key, from, to, time, nonce, more] = said.split(";");
  if (version !== VERSION || !key || !from || !to || time === undefined || nonce === undefined) {
    return undefined;
  }
  const parts = NONCE.exec(nonce);
  if (more !== undefined || parts === null || !TIME.test(time)) return undefined;
  const sender = `${from};${parts[1]!}`;
  return { said, key, sender, to, time: Number(time), count: Number(parts[2]), mac: header.slice(end + 1) };
}

/**
 * The keys of one node: the first signs, all are accepted. Without any, nothing is signed and only frames that say
 * so are taken.
 *
 * @param path what a frame is posted to; signed with it
 */
export function createKeyring(crypto: Signer, secrets: readonly string[], path: string): Keyring {
  const first = secrets[0];
  if (first === undefined) {
    return {
      current: NONE,
      sign: () => NONE,
      verify: (claim) => claim.key === NONE && claim.mac === NONE,
      seal: () => undefined,
    };
  }
  const before = `POST\n${path}\n`;
  let known: Map<string, string> | undefined;
  let current: string | Promise<string> | undefined;

  const macOf = (secret: string, said: string, body: string | Uint8Array): string | Promise<string> => {
    const hash = crypto.hash(body);
    return typeof hash === "string"
      ? crypto.hmac(secret, `${before}${hash}\n${said}`)
      : hash.then((hash) => crypto.hmac(secret, `${before}${hash}\n${said}`));
  };
  const named = (names: readonly string[]): string => {
    known ??= new Map(names.map((name, at) => [name, secrets[at]!] as const).reverse());
    return current = names[0]!;
  };
  // A key's name tells nothing of the key: it is a keyed hash of a constant.
  const nameKeys = (): string | Promise<string> => {
    const names = secrets.map((secret) => crypto.hmac(secret, "catga key name"));
    const short = (names: readonly string[]) => named(names.map((name) => name.slice(0, 8)));
    return names.every((name) => typeof name === "string") ? short(names) : Promise.all(names).then(short);
  };
  const check = (claim: Claim, body: Uint8Array): boolean | Promise<boolean> => {
    const secret = known!.get(claim.key);
    if (secret === undefined) return false;
    const mac = macOf(secret, claim.said, body);
    return typeof mac === "string" ? sameText(mac, claim.mac) : mac.then((mac) => sameText(mac, claim.mac));
  };

  return {
    get current() {
      return current ??= nameKeys();
    },
    sign: (said, body) => macOf(first, said, body),
    verify: (claim, body) => {
      const name = current ??= nameKeys();
      return typeof name === "string" ? check(claim, body) : name.then(() => check(claim, body));
    },
    seal: (key, mac) => sealOf(crypto, known!.get(key)!, mac),
  };
}

function sealOf(crypto: Signer, secret: string, request: string): Seal {
  const sign = (what: string, frame: Frame | undefined): string | Promise<string> => {
    const before = `ANSWER\n${request}\n${what}\n`;
    if (frame === undefined) return crypto.hmac(secret, before);
    const text = typeof frame === "string";
    if (text && frame.length <= SHORT) return crypto.hmac(secret, `${before}short ${frame}`);
    const kind = text ? "text" : "bytes";
    const hash = crypto.hash(frame);
    return typeof hash === "string"
      ? crypto.hmac(secret, `${before}${kind} ${hash}`)
      : hash.then((hash) => crypto.hmac(secret, `${before}${kind} ${hash}`));
  };
  return {
    whole: (status, frame) => sign(`whole ${status}`, frame),
    part: (at, frame) => sign(frame === undefined ? `end ${at}` : `part ${at}`, frame),
  };
}

/** Compares two texts in a time that depends on their length alone. */
export function sameText(a: string, b: string): boolean {
  let different = a.length ^ b.length;
  for (let at = 0; at < a.length; at++) different |= a.charCodeAt(at) ^ b.charCodeAt(at % (b.length || 1));
  return different === 0;
}
