/** What a connection is begun with: which servers, who comes in, which versions have holes, how WebSockets read. */

import { describe, expect, test } from "bun:test";
import { nkeys } from "@nats-io/nats-core";
import fc from "fast-check";
import { authenticatorOf } from "../../adapters/nats/connection_auth.ts";
import { maskedFrame, WebSocketReader } from "../../adapters/nats/connection_frames.ts";
import { knownHoles } from "../../adapters/nats/connection_holes.ts";
import { holdKind } from "../../adapters/nats/connection_kind.ts";
import { isTcp, readServers } from "../../adapters/nats/connection_servers.ts";
import { codeOf } from "./support.ts";

describe("servers", () => {
  test("are a URL, several with commas, or a list", () => {
    expect(readServers("ws://a:80")).toEqual({ kind: "WebSocket", urls: ["ws://a"], tls: false });
    expect(readServers("nats://a:4222, tls://b:1")).toEqual({
      kind: "TCP",
      urls: ["nats://a:4222", "tls://b:1"],
      tls: true,
    });
    expect(readServers(["wss://a:8443/nats?x=1"]).urls).toEqual(["wss://a:8443/nats?x=1"]);
  });

  test("may say who comes in, and that goes no further", () => {
    const servers = readServers("nats://me:p%40ss@a:1");
    expect(servers).toMatchObject({ user: "me", pass: "p@ss", urls: ["nats://a:1"] });
  });

  test.each([
    [[]],
    ["a:4222"],
    ["http://a"],
    ["nats://"],
    ["no url"],
    ["nats://a, ws://b"],
    ["nats://a,"],
    ["nats://%zz:x@a"],
  ])("%j cannot be read, and nobody's password is told", (given) => {
    expect(codeOf(() => readServers(given))).toBe("VALIDATION");
    expect(() => readServers(["ws://me:secret@[bad"])).not.toThrow(/secret/);
  });

  test("by TCP are told from others", () => {
    expect(["nats://a", ["TLS://a"], "ws://a", ["wss://a"], { connection: {} }, []].map(isTcp))
      .toEqual([true, true, false, false, false, false]);
  });
});

describe("who comes in", () => {
  test("is one of them", () => {
    const seed = new TextDecoder().decode(nkeys.createUser().getSeed());
    expect(authenticatorOf({})).toBe(undefined);
    expect(authenticatorOf({ user: "a", pass: "b" })!()).toEqual({ user: "a", pass: "b" });
    expect(authenticatorOf({ token: "t" })!()).toEqual({ auth_token: "t" });
    expect(authenticatorOf({ nkey: seed })!("nonce")).toMatchObject({ nkey: expect.stringMatching(/^U/) });
    const credentials = `-----BEGIN NATS USER JWT-----\nj.w.t\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
    expect(authenticatorOf({ credentials })!("nonce")).toMatchObject({ jwt: "j.w.t" });
  });

  test.each([
    [{ user: "a", token: "secret" }],
    [{ pass: "secret" }],
    [{ nkey: "secret" }],
    [{ credentials: "secret" }],
  ])("%j is refused without a word of what was given", (options) => {
    expect(codeOf(() => authenticatorOf(options))).toBe("VALIDATION");
    expect(() => authenticatorOf(options)).not.toThrow(/secret/);
  });
});

describe("known holes", () => {
  const names = (version: string, webSocket = true): readonly string[] =>
    knownHoles(version, webSocket).map((hole) => hole.slice(0, 14));

  test.each([
    ["2.9.10", ["CVE-2023-47090", "CVE-2025-30215", "CVE-2026-27571", "CVE-2026-27889", "CVE-2026-33222"]],
    ["2.9.23", ["CVE-2025-30215", "CVE-2026-27571", "CVE-2026-27889", "CVE-2026-33222"]],
    ["2.10.1", ["CVE-2023-47090", "CVE-2025-30215", "CVE-2026-27571", "CVE-2026-27889", "CVE-2026-33222"]],
    ["2.10.27", ["CVE-2026-27571", "CVE-2026-27889", "CVE-2026-33222"]],
    ["2.11.0", ["CVE-2025-30215", "CVE-2026-27571", "CVE-2026-27889", "CVE-2026-33222"]],
    ["2.11.12", ["CVE-2026-27889", "CVE-2026-33222"]],
    ["2.11.15", []],
    ["2.12.2", ["CVE-2026-27571", "CVE-2026-27889", "CVE-2026-33222"]],
    ["2.12.5-RC.1", ["CVE-2026-33222"]],
    ["2.12.6", []],
    ["v2.15.1", []],
    ["3.0.0", []],
    ["dev", []],
  ])("of %s", (version, holes) => {
    expect(names(version)).toEqual(holes);
  });

  test("of WebSockets do not matter where there are none", () => {
    expect(names("2.11.12", false)).toEqual(["CVE-2026-33222"]);
  });
});

describe("kinds of connections", () => {
  test("do not mix, and can be changed when all are closed", () => {
    const first = holdKind("WebSocket");
    const second = holdKind("WebSocket");
    expect(codeOf(() => holdKind("TCP"))).toBe("CONFLICT");
    first();
    first();
    expect(codeOf(() => holdKind("TCP"))).toBe("CONFLICT");
    second();
    const third = holdKind("TCP");
    expect(codeOf(() => holdKind("WebSocket"))).toBe("CONFLICT");
    third();
  });
});

describe("frames of WebSockets", () => {
  /** What a server sends: the same without a mask. */
  const sent = (code: number, payload: Uint8Array): Uint8Array => {
    const masked = maskedFrame(code, payload, 0);
    const head = masked.length - payload.length - 4;
    const frame = new Uint8Array(head + payload.length);
    frame.set(masked.subarray(0, head));
    frame[1]! &= 0x7f;
    frame.set(payload, head);
    return frame;
  };
  const answer = new TextEncoder().encode("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");

  test("read the same however they are cut", () => {
    const payload = fc.uint8Array({ maxLength: 200 });
    const long = fc.constantFrom(125, 126, 65_535, 65_536, 70_000).map((size) =>
      new Uint8Array(size).fill(7)
    );
    const frames = fc.array(fc.record({ ping: fc.boolean(), payload: fc.oneof(payload, long) }), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(frames, fc.array(fc.nat(80_000), { maxLength: 10 }), (list, cuts) => {
        const known = list.map(({ ping, payload }) =>
          [ping && payload.length < 126 ? 9 : 2, payload] as const
        );
        const bytes = concat([answer, ...known.map(([code, payload]) => sent(code, payload))]);
        const data: Uint8Array[] = [];
        const pings: Uint8Array[] = [];
        const reader = new WebSocketReader({
          data: (part) => data.push(part.slice()),
          ping: (part) => pings.push(part.slice()),
          close: () => {},
        });
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        for (let at = 1; at < places.length; at++) reader.take(bytes.slice(places[at - 1], places[at]));
        expect(concat(data)).toEqual(
          concat(known.filter(([code]) => code === 2).map(([, payload]) => payload)),
        );
        expect(pings).toEqual(known.filter(([code]) => code === 9).map(([, payload]) => payload));
      }),
      { numRuns: 200 },
    );
  });

  test("are masked as RFC 6455 has it", () => {
    const frame = maskedFrame(1, new TextEncoder().encode("Hello"), 0x37fa213d);
    expect([...frame]).toEqual([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
  });

  test("random bytes are refused or wait, and never read beyond", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, upgraded) => {
      const reader = new WebSocketReader({ data: () => {}, ping: () => {}, close: () => {} });
      try {
        if (upgraded) reader.take(answer);
        reader.take(bytes);
      } catch (thrown) {
        expect((thrown as Error).message).toMatch(/^It (?:answers|sends)/);
      }
    }));
  });

  test("what is no WebSocket is said to be none", () => {
    const reader = new WebSocketReader({ data: () => {}, ping: () => {}, close: () => {} });
    const refused = new TextEncoder().encode("HTTP/1.1 403 Forbidden\r\n\r\n");
    expect(() => reader.take(refused)).toThrow('"HTTP/1.1 403 Forbidden');
  });
});

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
