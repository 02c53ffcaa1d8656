import { describe, expect, test } from "bun:test";
import { http } from "@catga/catga/http";
import type { FetchInit } from "@catga/catga/ports";
import { echo, errorOf, framesOf, open, OTHER_SECRET, recorder, SECRET } from "./support.ts";

const A = { id: "a", endpoint: "http://127.0.0.1:5001" };
const B = { id: "b;*", endpoint: "http://127.0.0.1:5002" };

async function pair(asynchronous = false, secretA: string | [string, string] = SECRET, secretB = secretA) {
  const a = http({ peers: [], secret: secretA });
  const b = http({ peers: [], secret: secretB });
  const seen: unknown[] = [];
  const forB = recorder(undefined, asynchronous);
  const forA = recorder((request) => b.fetch(request), asynchronous);
  const transport = await open(a, A, forA.runtime);
  await open(b, B, forB.runtime, async (frame, reply) => {
    seen.push(frame);
    await reply("done");
  });
  return { b, transport, forA, forB, seen };
}

type Pair = Awaited<ReturnType<typeof pair>>;

function post(p: Pair, { url, init }: { url: string; init: FetchInit }, change: Partial<FetchInit> = {}) {
  return p.b.fetch(new Request(url, { ...init, ...change } as RequestInit));
}

const withAuth = (init: FetchInit, auth: string): Partial<FetchInit> => ({
  headers: { ...init.headers, "catga-auth": auth },
});

/** Replaces one part of the header: 0 version, 1 key, 2 from, 3 to, 4 time, 5 nonce, 6 mac. */
function changed(init: FetchInit, part: number, to: (value: string) => string): Partial<FetchInit> {
  const parts = init.headers["catga-auth"]!.split(";");
  parts[part] = to(parts[part]!);
  return withAuth(init, parts.join(";"));
}

/** A pair whose first request is captured before it is delivered. */
async function captured(asynchronous = false): Promise<{ p: Pair; good: { url: string; init: FetchInit } }> {
  const p = await pair(asynchronous);
  const a = http({ peers: [], secret: SECRET });
  let good: { url: string; init: FetchInit } | undefined;
  const forA = recorder(undefined, asynchronous);
  const transport = await open(a, A, {
    ...forA.runtime,
    fetch: (url, init) => {
      good = { url, init };
      return Promise.reject(new Error("captured"));
    },
  });
  await transport.exchange(B, '{"n":1}', () => {}).catch(() => {});
  return { p, good: good! };
}

const CRYPTO: [string, boolean][] = [["node:crypto", false], ["web crypto", true]];

describe.each(CRYPTO)("signed frames, %s", (_name, asynchronous) => {
  test("a good frame is taken once", async () => {
    const { p, good } = await captured(asynchronous);
    const first = await post(p, good);
    expect(first.status).toBe(200);
    expect(await first.text()).toBe("done");
    for (let again = 0; again < 3; again++) expect((await post(p, good)).status).toBe(409);
    expect(p.seen).toEqual(['{"n":1}']);
    expect(p.b.refused).toBe(3);
  });

  test("twenty copies at once: one is taken", async () => {
    const { p, good } = await captured(asynchronous);
    const statuses = (await Promise.all(Array.from({ length: 20 }, () => post(p, good)))).map(({ status }) =>
      status
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(19);
  });

  const flip = (text: string): string => (text[0] === "x" ? "y" : "x") + text.slice(1);
  const later = (text: string): string => String(Number(text) + 1);
  const forgeries: [string, number, (value: string) => string][] = [
    ["another version", 0, () => "2"],
    ["an unknown key", 1, () => "abcdefgh"],
    ["no key", 1, () => "none"],
    ["an empty key", 1, () => ""],
    ["another sender", 2, flip],
    ["no sender", 2, () => ""],
    ["another target", 3, flip],
    ["any target", 3, () => "*"],
    ["another time", 4, later],
    ["a time that is none", 4, () => "1e99"],
    ["a time before 1970", 4, () => "-1"],
    ["another count", 5, (text) => `${text}7`],
    ["another start", 5, flip],
    ["a count that is none", 5, () => "abc.-1"],
    ["a huge count", 5, () => "abc.99999999999999999999"],
    ["a forged mac", 6, flip],
    ["a short mac", 6, (text) => text.slice(1)],
    ["a long mac", 6, (text) => `${text}A`],
    ["no mac", 6, () => ""],
    ["the mac of unsigned frames", 6, () => "none"],
    ["one part more", 6, (text) => `x;${text}`],
  ];
  test.each(forgeries)("refused: %s", async (_what, part, to) => {
    const { p, good } = await captured(asynchronous);
    const answer = await post(p, good, changed(good.init, part, to));
    expect(answer.status).toBe(401);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(p.seen).toEqual([]);
    // And it has not used up the count of the good one.
    expect((await post(p, good)).status).toBe(200);
  });

  test("refused: none, empty, overlong and odd headers", async () => {
    const { p, good } = await captured(asynchronous);
    const { "catga-auth": _auth, ...headers } = good.init.headers;
    expect((await post(p, good, { headers })).status).toBe(401);
    for (const auth of ["", ";", ";;;;;;", "1", "1;none;a;*;1;a.1;none", "x".repeat(5000), "1;;;;;;"]) {
      expect((await post(p, good, withAuth(good.init, auth))).status).toBe(401);
    }
    expect(p.seen).toEqual([]);
  });

  test("refused: another body, another path", async () => {
    const { p, good } = await captured(asynchronous);
    expect((await post(p, good, { body: '{"n":2}' })).status).toBe(401);
    expect((await post(p, good, { body: "" })).status).toBe(401);
    const elsewhere = http({ peers: [], secret: SECRET, path: "/other" });
    await open(elsewhere, B, p.forB.runtime);
    const answer = await elsewhere.fetch(new Request(`${B.endpoint}/other/v1`, good.init as RequestInit));
    expect(answer.status).toBe(401);
  });

  test("refused: from the past and from the future", async () => {
    const { p, good } = await captured(asynchronous);
    for (const skew of [31_000, -31_000, 1e9]) {
      p.forB.skew = skew;
      expect((await post(p, good)).status).toBe(401);
    }
    p.forB.skew = 29_000;
    expect((await post(p, good)).status).toBe(200);
  });

  test("the secret changes without a refused frame", async () => {
    const steps: [string | [string, string], string | [string, string]][] = [
      [SECRET, [SECRET, OTHER_SECRET]],
      [[SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET]],
      [[OTHER_SECRET, SECRET], OTHER_SECRET],
      [OTHER_SECRET, [OTHER_SECRET, SECRET]],
    ];
    for (const [one, two] of steps) {
      const { transport } = await pair(asynchronous, one, two as string);
      expect(await framesOf(transport, B, "{}")).toEqual(["done"]);
    }
    const { transport, seen } = await pair(asynchronous, SECRET, OTHER_SECRET);
    const error = await errorOf(transport.exchange(B, "{}", () => {}));
    expect(error.code).toBe("TRANSPORT");
    expect(error.message).toMatch(
      /answered 401, without a signature that fits. Give both nodes the same secret/,
    );
    expect(seen).toEqual([]);
  });

  test("frames to a seed whose name is not known are taken", async () => {
    const { transport } = await pair(asynchronous);
    expect(await framesOf(transport, { id: "*", endpoint: B.endpoint }, "{}")).toEqual(["done"]);
    const wrong = await errorOf(transport.exchange({ id: "c", endpoint: B.endpoint }, "{}", () => {}));
    expect(wrong.code).toBe("TRANSPORT");
  });
});

test("a node without a secret takes no signed frame, and tells copies all the same", async () => {
  const signed = await captured();
  const b = http({ peers: [] });
  const seen: unknown[] = [];
  const { runtime } = recorder();
  await open(b, B, runtime, (frame, reply, options) => {
    seen.push(frame);
    return echo(frame, reply, options);
  });
  expect((await b.fetch(new Request(signed.good.url, signed.good.init as RequestInit))).status).toBe(401);
  const a = http({ peers: [] });
  const statuses: number[] = [];
  const twice = recorder(async (request) => {
    statuses.push((await b.fetch(request.clone() as Request)).status);
    const answer = await b.fetch(request);
    statuses.push(answer.status);
    return answer;
  });
  const transport = await open(a, A, twice.runtime);
  expect((await errorOf(transport.exchange(B, "{}", () => {}))).code).toBe("TRANSPORT");
  expect(statuses).toEqual([200, 409]);
  expect(seen).toEqual(["{}"]);
});

test("refusals are logged ten a second at most, all are counted, and nothing of the request is told", async () => {
  const { p, good } = await captured();
  for (let n = 0; n < 50; n++) {
    const answer = await post(p, good, withAuth(good.init, `1;canary;canary;canary;1;canary.${n};canary`));
    expect(await answer.text()).not.toContain("canary");
  }
  expect(p.b.refused).toBe(50);
  expect(p.forB.logs).toHaveLength(10);
  expect(p.forB.logs[0]!.event).toBe("frame.refused");
  expect(JSON.stringify(p.forB.logs)).not.toContain("canary");
});
