import type { Frame } from "../ports/transport.ts";
import { must, same } from "./store_trial.ts";
import { echo, sameFrame, type TransportTrial } from "./transport_trial.ts";

const MANY = 100;

/** Text that some carriers take for something else. */
const ODD_TEXT: readonly string[] = [
  "",
  " ",
  "\0",
  "\n",
  "a\nb\r\nc\r",
  ".\n",
  "!\n",
  "\uFEFFa byte order mark before it, and one within \uFEFF",
  "\u2028\u2029\u0085",
  "e\u0301 \u00e9 \u{1F600} \u{1F469}\u200D\u{1F4BB} \u{10FFFF} \uFFFF \uFFFD",
  '{"a":"\\ud800"}',
];

/** What is promised of frames on their way there and back. */
export const frameChecks: Readonly<Record<string, (trial: TransportTrial) => Promise<void>>> = {
  "text and bytes arrive as they were, there and back": async (trial) => {
    const every = new Uint8Array(256).map((_, at) => at);
    const frames: readonly Frame[] = [
      ...ODD_TEXT,
      new Uint8Array(),
      every,
      every.subarray(100, 107),
      new Uint8Array([0xef, 0xbb, 0xbf, 0xff]),
    ];
    const got: Frame[] = [];
    await trial.serve((frame, reply, options) => {
      got.push(frame);
      return echo(frame, reply, options);
    });
    for (const [at, frame] of frames.entries()) {
      const replies = await trial.ask(frame);
      same("how often it was received", got.length, at + 1);
      sameFrame("what was received", got[at], frame);
      same("how many replies came", replies.length, 1);
      sameFrame("the reply", replies[0], frame);
    }
  },

  "several odd frames come back in one exchange": async (trial) => {
    const bytes = ODD_TEXT.map((text) => new TextEncoder().encode(text));
    await trial.serve(async (frame, reply) => {
      for (const answer of typeof frame === "string" ? ODD_TEXT : bytes) await reply(answer);
    });
    const text = await trial.ask("text");
    same("the text", text, ODD_TEXT);
    const found = await trial.ask(new Uint8Array(1));
    same("how many came", found.length, bytes.length);
    for (const [at, wanted] of bytes.entries()) sameFrame("bytes", found[at], wanted);
  },

  "the largest frames arrive whole": async (trial) => {
    await trial.serve(echo);
    const { size } = trial;
    const bytes = new Uint8Array(size).map((_, at) => (at * 7 + (at >> 8)) & 255);
    for (const frame of ["a".repeat(size), "\u00e9\n".repeat(Math.floor(size / 3)), bytes]) {
      const [reply] = await trial.ask(frame);
      sameFrame("the reply", reply, frame);
    }
  },

  "text may be answered with bytes, and bytes with text": async (trial) => {
    const bytes = new Uint8Array([1, 2, 3]);
    await trial.serve(async (frame, reply) => {
      await reply(typeof frame === "string" ? bytes : "text");
    });
    sameFrame("the answer to text", (await trial.ask("?"))[0], bytes);
    sameFrame("the answer to bytes", (await trial.ask(bytes))[0], "text");
  },

  "many at once reach a receiver once each, and get their own replies": async (trial) => {
    const got: Frame[] = [];
    await trial.serve(async (frame, reply) => {
      got.push(frame);
      const n = Number(frame);
      for (let part = 0; part <= n % 4; part++) {
        if (n % 3 === part) await trial.subject.pass(n % 5);
        await reply(`${n}.${part}`);
      }
    });
    const all = await Promise.all(Array.from({ length: MANY }, (_, n) => trial.ask(`${n}`)));
    const wanted = (n: number) => Array.from({ length: n % 4 + 1 }, (_, part) => `${n}.${part}`);
    all.forEach((replies, n) => same(`the replies to ${n}`, replies, wanted(n)));
    same("how many frames were received", [got.length, new Set(got).size], [MANY, MANY]);
  },

  "a node whose name is not known yet is reached by its endpoint": async (trial) => {
    await trial.serve(echo);
    const to = { id: "*", endpoint: trial.subject.receiver.self.endpoint };
    same("the reply", await trial.ask("?", { to }), ["?"]);
  },

  "a receiver may send to its caller while it answers": async (trial) => {
    const { caller, receiver } = trial.subject;
    await trial.serve(echo, caller);
    await trial.serve(async (frame, reply) => {
      const [back] = await trial.ask(`${String(frame)} and back`, { from: receiver, to: caller.self });
      await reply(`${String(back)} again`);
    });
    same("the reply", await trial.ask("there"), ["there and back again"]);
  },

  "both send to each other at once": async (trial) => {
    const { caller, receiver } = trial.subject;
    await trial.serve(echo, caller);
    await trial.serve(echo, receiver);
    const all = await Promise.all(Array.from({ length: 20 }, async (_, n) => [
      ...await trial.ask(`${n}`),
      ...await trial.ask(`${n}`, { from: receiver, to: caller.self }),
    ]));
    must("each gets its own", all.every((replies, n) => replies.join() === `${n},${n}`));
  },
};
