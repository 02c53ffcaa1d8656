import { failing, must, same } from "./store_trial.ts";
import { echo, type Held, type Sent, signalOf, type TransportTrial } from "./transport_trial.ts";

/** What is promised of a transport that is disposed. */
export const lifeChecks: Readonly<Record<string, (trial: TransportTrial) => Promise<void>>> = {
  "disposing the caller's ends its exchanges with TRANSPORT, and their receivers hear of it": async (
    trial,
  ) => {
    const { all } = await trial.hold();
    const { sent, signals } = await threeOpen(trial, all);
    await trial.settles("disposing", trial.subject.caller.transport[Symbol.asyncDispose]());
    for (const each of sent) same("how it ended", await trial.ended(each), "TRANSPORT");
    await trial.eventually("the signals abort", () => signals.every((signal) => signal.aborted));
    const before = sent.map(({ replies }) => replies.length);
    for (const held of all) await trial.settles("a reply to nobody", held.reply("late"));
    await trial.pause();
    same("what came afterwards", sent.map(({ replies }) => replies.length), before);
  },

  "disposing the receiver's breaks off what it answers, and its receivers hear of it": async (trial) => {
    const { all } = await trial.hold();
    const { sent, signals } = await threeOpen(trial, all);
    await trial.settles("disposing", trial.subject.receiver.transport[Symbol.asyncDispose]());
    for (const each of sent) same("how it ended", await trial.ended(each), "TRANSPORT");
    await trial.eventually("the signals abort", () => signals.every((signal) => signal.aborted));
    for (const held of all) await trial.settles("a reply to nobody", held.reply("late"));
    same("how the next one ended", await trial.ended(trial.send("?")), "UNAVAILABLE");
  },

  "disposing lets a receiver go that waits for its caller": async (trial) => {
    const piece = "x".repeat(Math.min(65_536, trial.size));
    let done = false;
    await trial.serve(async (_frame, reply, { signal }) => {
      while (signal?.aborted === false) await reply(piece);
      done = true;
    });
    const sent = trial.send("?", { reply: () => new Promise(() => {}) });
    await trial.eventually("the first is there", () => sent.replies.length === 1);
    await trial.pause();
    await trial.settles("disposing", trial.subject.receiver.transport[Symbol.asyncDispose]());
    await trial.eventually("the receiver goes on", () => done);
    sent.cancel();
    must("the caller's exchange ends", ["CANCELLED", "TRANSPORT"].includes(await trial.ended(sent)));
  },

  "what is sent in the turn in which either is disposed ends": async (trial) => {
    const { caller, receiver } = trial.subject;
    const got = new Set<unknown>();
    await trial.serve(async (frame, reply) => {
      got.add(frame);
      await trial.subject.pass(1);
      await reply(frame);
    });
    const send = (n: number): Sent => trial.send(`${n}`);
    const sent = Array.from({ length: 50 }, (_, n) => send(n));
    await trial.subject.pass(1);
    sent.push(...Array.from({ length: 50 }, (_, n) => send(50 + n)));
    const disposing = [receiver, caller].map(({ transport }) => transport[Symbol.asyncDispose]());
    sent.push(...Array.from({ length: 10 }, (_, n) => send(100 + n)));
    await trial.settles("disposing", Promise.all(disposing));
    for (const [n, each] of sent.entries()) {
      const end = await trial.ended(each);
      must(`${n} is answered or fails, not ${end}`, ["ok", "TRANSPORT", "UNAVAILABLE"].includes(end));
      must(`${n} is UNAVAILABLE, but was received`, end !== "UNAVAILABLE" || !got.has(`${n}`));
    }
  },

  "a caller's that is disposed while a reply is being taken hands on no other": async (trial) => {
    const { all } = await trial.hold();
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => open = resolve);
    const sent = trial.send("?", { reply: () => gate });
    const held = await trial.one(all);
    for (let part = 0; part < 3; part++) void held.reply(`${part}`);
    await trial.eventually("the first is there", () => sent.replies.length === 1);
    await trial.settles("disposing", trial.subject.caller.transport[Symbol.asyncDispose]());
    same("how it ended", await trial.ended(sent), "TRANSPORT");
    open();
    await trial.pause();
    same("what came", sent.replies, ["0"]);
  },

  "one that is disposed takes and sends nothing": async (trial) => {
    const { caller, receiver } = trial.subject;
    let got = 0;
    await trial.serve((frame, reply, options) => {
      got++;
      return echo(frame, reply, options);
    });
    same("the reply", await trial.ask("?"), ["?"]);
    await caller.transport[Symbol.asyncDispose]();
    same("how one of its own ended", await trial.ended(trial.send("?")), "UNAVAILABLE");
    await failing("serving", "UNAVAILABLE", trial.serve(echo, caller));
    await trial.pause();
    same("how many were received", got, 1);
    same(
      "how one to it ended",
      await trial.ended(trial.send("?", { from: receiver, to: caller.self })),
      "UNAVAILABLE",
    );
  },

  "disposing twice, at once or later, is the same as once": async (trial) => {
    const served = await trial.serve(echo);
    await trial.ask("?");
    for (const { transport } of [trial.subject.caller, trial.subject.receiver]) {
      const ends = [transport[Symbol.asyncDispose](), transport[Symbol.asyncDispose]()];
      await trial.settles("disposing twice at once", Promise.all(ends));
      await trial.settles("disposing once more", transport[Symbol.asyncDispose]());
    }
    await trial.settles("stopping to serve afterwards", served[Symbol.asyncDispose]());
  },

  "disposing waits neither for receivers nor for callers": async (trial) => {
    const { caller, receiver } = trial.subject;
    await trial.serve(() => new Promise(() => {}));
    await trial.serve(() => new Promise(() => {}), caller);
    const sent = [trial.send("?"), trial.send("?", { from: receiver, to: caller.self })];
    await trial.pause();
    await trial.settles("disposing the caller's", caller.transport[Symbol.asyncDispose]());
    await trial.settles("disposing the receiver's", receiver.transport[Symbol.asyncDispose]());
    for (const each of sent) same("how it ended", await trial.ended(each), "TRANSPORT");
  },
};

/** Exchanges of which none, one and two replies have come. */
async function threeOpen(
  trial: TransportTrial,
  all: readonly Held[],
): Promise<{ readonly sent: readonly Sent[]; readonly signals: readonly AbortSignal[] }> {
  const sent = ["0", "1", "2"].map((frame) => trial.send(frame));
  await trial.eventually("the receiver gets all", () => all.length === sent.length);
  for (const held of all) {
    for (let part = 0; part < Number(held.frame); part++) await held.reply(`${part}`);
  }
  await trial.eventually("the replies are there", () => sent.every(({ replies }, n) => replies.length === n));
  return { sent, signals: all.map(signalOf) };
}
