import { CatgaError, type SystemCode, systemFault } from "../result.ts";
import { must, same } from "./store_trial.ts";
import { signalOf, type TransportTrial } from "./transport_trial.ts";

/** What receivers fail with; none of it may look to the caller as if nobody had seen the frame. */
const FAILURES: Readonly<Record<string, unknown>> = {
  error: new Error("it failed"),
  nothing: undefined,
  text: "it failed",
  ...Object.fromEntries(
    (["UNAVAILABLE", "OVERLOADED", "SERIALIZATION", "TRANSPORT", "CANCELLED", "INTERNAL"] as const)
      .map((code: SystemCode) => [code, new CatgaError(systemFault(code, "it failed"))]),
  ),
};

/** What is promised of exchanges that fail or are given up. */
export const endChecks: Readonly<Record<string, (trial: TransportTrial) => Promise<void>>> = {
  "a receiver that fails is TRANSPORT, whatever it fails with": async (trial) => {
    await trial.serve(async (frame, reply) => {
      if (frame === "fine") return void await reply("fine");
      throw FAILURES[String(frame)];
    });
    for (const frame of Object.keys(FAILURES)) {
      const sent = trial.send(frame);
      same(`how ${frame} ended`, await trial.ended(sent), "TRANSPORT");
      same("what came", sent.replies, []);
    }
    same("the next one", await trial.ask("fine"), ["fine"]);
  },

  "a receiver that throws at once is TRANSPORT": async (trial) => {
    await trial.serve(() => {
      throw new Error("not even a promise");
    });
    same("how it ended", await trial.ended(trial.send("?")), "TRANSPORT");
  },

  "a receiver that fails amid its replies is TRANSPORT after what it has replied": async (trial) => {
    await trial.serve(async (frame, reply) => {
      for (let part = 0; part < 5; part++) {
        await reply(`${part}`);
        if (frame === "slow") await trial.subject.pass(2);
      }
      throw new Error("it failed");
    });
    const wanted = ["0", "1", "2", "3", "4"];
    for (const frame of ["fast", "slow"]) {
      const sent = trial.send(frame);
      same("how it ended", await trial.ended(sent), "TRANSPORT");
      same("what came", sent.replies, wanted.slice(0, sent.replies.length));
      if (frame === "slow") must("what was given long before came", sent.replies.length > 0);
    }
  },

  "a signal that has aborted before sends nothing": async (trial) => {
    const { all } = await trial.hold();
    const sent = trial.send("?", { signal: AbortSignal.abort() });
    same("how it ended", await trial.ended(sent), "CANCELLED");
    await trial.pause();
    same("how many frames were received", all.length, 0);
  },

  "who gives up gets CANCELLED at once, and its receiver hears of it": async (trial) => {
    const { all } = await trial.hold();
    for (const replies of [0, 1, 2]) {
      const sent = trial.send("?");
      await trial.eventually("the receiver gets the frame", () => all.length === replies + 1);
      const signal = signalOf(all[replies]!);
      for (let part = 0; part < replies; part++) await all[replies]!.reply(`${part}`);
      await trial.eventually("the replies are there", () => sent.replies.length === replies);
      await trial.pause();
      same("before", [sent.end, signal.aborted], ["open", false]);
      sent.cancel();
      same("how it ended", await trial.ended(sent), "CANCELLED");
      await trial.eventually("the receiver's signal aborts", () => signal.aborted);
    }
  },

  "a receiver may ask for its signal when its caller has gone": async (trial) => {
    const { all } = await trial.hold();
    for (const replies of [0, 2]) {
      const before = all.length;
      const sent = trial.send("?");
      await trial.eventually("the receiver gets the frame", () => all.length > before);
      const held = all.at(-1)!;
      for (let part = 0; part < replies; part++) await held.reply(`${part}`);
      await trial.eventually("the replies are there", () => sent.replies.length === replies);
      await trial.pause();
      sent.cancel();
      same("how it ended", await trial.ended(sent), "CANCELLED");
      await trial.pause();
      await trial.eventually("the signal says so", () => signalOf(held).aborted);
    }
  },

  "a receiver that goes on when its caller has gone harms nobody": async (trial) => {
    const { all } = await trial.hold();
    const ways = ["finish", "refuse"] as const;
    for (const [at, way] of ways.entries()) {
      const sent = trial.send("?");
      await trial.eventually("the receiver gets the frame", () => all.length === at + 1);
      await all[at]!.reply("1");
      await trial.eventually("the reply is there", () => sent.replies.length === 1);
      sent.cancel();
      same("how it ended", await trial.ended(sent), "CANCELLED");
      for (let more = 0; more < 5; more++) await trial.settles("a reply to nobody", all[at]!.reply("2"));
      all[at]![way](new Error("too late"));
      same("what came", sent.replies, ["1"]);
    }
    const next = trial.send("?");
    await trial.eventually("the receiver gets the frame", () => all.length > ways.length);
    all.at(-1)!.finish();
    same("how the next one ended", await trial.ended(next), "ok");
  },

  "a receiver that waits for its caller is let go when that goes away": async (trial) => {
    const piece = "x".repeat(Math.min(65_536, trial.size));
    let done = false;
    await trial.serve(async (_frame, reply, { signal }) => {
      while (signal?.aborted === false) await reply(piece);
      done = true;
    });
    const sent = trial.send("?", { reply: () => new Promise(() => {}) });
    await trial.eventually("the first is there", () => sent.replies.length === 1);
    await trial.pause();
    sent.cancel();
    same("how it ended", await trial.ended(sent), "CANCELLED");
    await trial.eventually("the receiver goes on", () => done);
  },

  "an exchange that ended well aborts nothing": async (trial) => {
    const { all } = await trial.hold();
    for (const replies of [0, 1, 3]) {
      const before = all.length;
      const sent = trial.send("?");
      await trial.eventually("the receiver gets the frame", () => all.length > before);
      const held = all.at(-1)!;
      const signal = signalOf(held);
      for (let part = 0; part < replies; part++) {
        await held.reply(`${part}`);
        if (part === 1) await trial.pause();
      }
      held.finish();
      same("how it ended", await trial.ended(sent), "ok");
      sent.cancel();
      await trial.pause();
      same("afterwards", [sent.end, signal.aborted], ["ok", false]);
    }
    const late = trial.send("?");
    await trial.eventually("the receiver gets the frame", () => all.length > 3);
    all.at(-1)!.finish();
    same("how it ended", await trial.ended(late), "ok");
    must("a signal that is asked for afterwards has not aborted", !signalOf(all.at(-1)!).aborted);
  },

  "of many, those that are given up take no others with them": async (trial) => {
    const { all } = await trial.hold();
    const sent = Array.from({ length: 20 }, (_, n) => trial.send(`${n}`));
    await trial.eventually("the receiver gets all", () => all.length === sent.length);
    const signals = all.map((held) => [Number(held.frame) % 2 === 0, signalOf(held)] as const);
    sent.forEach((each, n) => n % 2 === 0 && each.cancel());
    await trial.eventually("half of them end", () => sent.filter(({ end }) => end !== "open").length === 10);
    await trial.eventually(
      "their receivers hear of it",
      () => signals.every(([gone, signal]) => !gone || signal.aborted),
    );
    for (const held of all) {
      void held.reply(held.frame);
      held.finish();
    }
    for (const [n, each] of sent.entries()) {
      same(`how ${n} ended`, await trial.ended(each), n % 2 === 0 ? "CANCELLED" : "ok");
      same(`the replies to ${n}`, each.replies, n % 2 === 0 ? [] : [`${n}`]);
    }
    must("no other signal aborts", signals.every(([gone, signal]) => gone || !signal.aborted));
  },
};
