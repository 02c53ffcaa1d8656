import { CatgaError, systemFault } from "../result.ts";
import type { Reply } from "../ports/transport.ts";
import { must, same } from "./store_trial.ts";
import { signalOf, type TransportTrial } from "./transport_trial.ts";

/** More than any transport may have on its way while the caller takes nothing: 40 MiB. */
const FLOOD = 640;
const PIECE = 65_536;

/** Gates that a caller opens for the replies it takes. */
interface Gate {
  readonly reply: Reply;
  open(): void;
}

/** What is promised of replies. */
export const replyChecks: Readonly<Record<string, (trial: TransportTrial) => Promise<void>>> = {
  "an exchange without a reply ends when its receiver is done": async (trial) => {
    const { all } = await trial.hold();
    const sent = trial.send("?");
    const held = await trial.one(all);
    await trial.pause();
    same("how it is before", sent.end, "open");
    held.finish();
    same("how it ended", await trial.ended(sent), "ok");
    same("what came", sent.replies, []);
  },

  "replies come in order, all before the end": async (trial) => {
    await trial.serve(async (frame, reply) => {
      const [count, how] = String(frame).split(" ");
      for (let part = 0; part < Number(count); part++) {
        const taken = reply(`${part}`);
        if (how !== "unwaited") await taken;
        if (how === "slow" && part % 3 === 0) await trial.subject.pass(1);
      }
    });
    for (const count of [1, 2, 3, 50]) {
      const wanted = Array.from({ length: count }, (_, part) => `${part}`);
      for (const how of ["waited", "unwaited", "slow"]) {
        same(`${count} replies, ${how}`, await trial.ask(`${count} ${how}`), wanted);
      }
    }
  },

  "a reply is handed on when it is given, not at the end": async (trial) => {
    const { all } = await trial.hold();
    const sent = trial.send("?");
    const held = await trial.one(all);
    for (let count = 1; count <= 3; count++) {
      await trial.settles("a reply", held.reply(`${count}`));
      await trial.eventually("the reply is there", () => sent.replies.length === count);
    }
    same("how it is", sent.end, "open");
    held.finish();
    same("how it ended", await trial.ended(sent), "ok");
  },

  "an exchange ends when its last reply is taken": async (trial) => {
    const { all } = await trial.hold();
    const gate = shut();
    const sent = trial.send("?", { reply: gate.reply });
    const held = await trial.one(all);
    void held.reply("1");
    void held.reply("2");
    held.finish();
    await trial.eventually("the first is there", () => sent.replies.length === 1);
    await trial.pause();
    same("how it is before", [sent.end, sent.replies.length], ["open", 1]);
    gate.open();
    same("how it ended", await trial.ended(sent), "ok");
    same("what came", sent.replies, ["1", "2"]);
  },

  "a receiver that waits is held back by a caller that takes its time": async (trial) => {
    const piece = "x".repeat(Math.min(PIECE, trial.size));
    let given = 0;
    await trial.serve(async (_frame, reply) => {
      for (; given < FLOOD; given++) await reply(piece);
    });
    const gate = shut();
    const sent = trial.send("?", { reply: gate.reply });
    await trial.eventually("the first is there", () => sent.replies.length === 1);
    for (let before = -1; before !== given;) {
      before = given;
      await trial.pause();
      await trial.pause();
    }
    must(`it waits before all is given: it gave ${given}`, given < FLOOD);
    same("how many the caller was handed", sent.replies.length, 1);
    gate.open();
    same("how it ended", await trial.ended(sent), "ok");
    same("how many came", sent.replies.length, FLOOD);
  },

  "replies that a receiver does not wait with come to a slow caller, too": async (trial) => {
    const wanted = Array.from({ length: 200 }, (_, part) => `${part}`);
    await trial.serve((_frame, reply) => {
      for (const part of wanted) void reply(part);
      return Promise.resolve();
    });
    const reply: Reply = (frame) => Number(frame) % 20 === 0 ? trial.subject.pass(1) : undefined;
    same("what came", await trial.ask("?", { reply }), wanted);
  },

  "a reply after the end goes nowhere": async (trial) => {
    const { all } = await trial.hold();
    const sent = trial.send("?");
    const held = await trial.one(all);
    void held.reply("1");
    held.finish();
    same("how it ended", await trial.ended(sent), "ok");
    await trial.settles("a late reply", held.reply("2"));
    await trial.pause();
    same("what came", sent.replies, ["1"]);
  },

  "a reply that cannot be taken ends the exchange on both sides": async (trial) => {
    const { all } = await trial.hold();
    const unreachable = new CatgaError(systemFault("UNAVAILABLE", "of another exchange"));
    const refused = Object.assign(new Error("of another connection"), { code: "ECONNREFUSED" });
    const replies: readonly Reply[] = [
      () => {
        throw new Error("thrown");
      },
      () => Promise.reject(new Error("rejected")),
      () => Promise.reject(unreachable),
      () => {
        throw refused;
      },
    ];
    for (const [at, reply] of replies.entries()) {
      const sent = trial.send("?", { reply });
      await trial.eventually("the receiver gets the frame", () => all.length === at + 1);
      const signal = signalOf(all[at]!);
      void all[at]!.reply("1");
      same(`how it ended (${at})`, await trial.ended(sent), "TRANSPORT");
      for (let more = 0; more < 3; more++) await trial.settles("a reply", all[at]!.reply("2"));
      await trial.eventually("the receiver's signal aborts", () => signal.aborted);
      same("what came", sent.replies, ["1"]);
    }
  },
};

function shut(): Gate {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => open = resolve);
  return { reply: () => opened, open: () => open() };
}
