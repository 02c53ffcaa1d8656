import { failing, must, same } from "./store_trial.ts";
import { echo, type TransportTrial } from "./transport_trial.ts";

/** What is promised of nodes that serve, do not yet or no more, and of two under one endpoint. */
export const serveChecks: Readonly<Record<string, (trial: TransportTrial) => Promise<void>>> = {
  "where nobody serves it is UNAVAILABLE": async (trial) => {
    const { nobody } = trial.subject;
    const targets = [
      trial.subject.receiver.self,
      nobody,
      { id: "*", endpoint: nobody.endpoint },
      { id: "x", endpoint: "" },
      { id: "x", endpoint: "no such endpoint" },
    ];
    for (const to of targets) {
      const sent = trial.send("?", { to });
      same(`how one to ${JSON.stringify(to)} ended`, await trial.ended(sent), "UNAVAILABLE");
    }
  },

  "a node serves, stops, and serves again": async (trial) => {
    for (let life = 0; life < 3; life++) {
      const served = await trial.serve(async (_frame, reply) => {
        await reply(`${life}`);
      });
      same("the reply", await trial.ask("?"), [`${life}`]);
      await trial.settles("stopping", served[Symbol.asyncDispose]());
      same("how the next one ended", await trial.ended(trial.send("?")), "UNAVAILABLE");
      await trial.settles("stopping twice", served[Symbol.asyncDispose]());
    }
  },

  "a receiver that serves no more stops nobody who came after it": async (trial) => {
    const first = await trial.serve(echo);
    await first[Symbol.asyncDispose]();
    await trial.serve(echo);
    await first[Symbol.asyncDispose]();
    same("the reply", await trial.ask("?"), ["?"]);
  },

  "a second receiver is refused with CONFLICT, and the first goes on": async (trial) => {
    await trial.serve(async (_frame, reply) => {
      await reply("first");
    });
    await failing("a second one", "CONFLICT", trial.serve(echo));
    same("the reply", await trial.ask("?"), ["first"]);
  },

  "another node under the same endpoint is refused with CONFLICT, until it is free": async (trial) => {
    const { rival } = trial.subject;
    if (rival === undefined) return;
    const served = await trial.serve(async (_frame, reply) => {
      await reply("first");
    });
    await failing("the other", "CONFLICT", trial.serve(echo, rival));
    same("the reply", await trial.ask("?"), ["first"]);
    await served[Symbol.asyncDispose]();
    await trial.serve(async (_frame, reply) => {
      await reply("rival");
    }, rival);
    same("the reply then", await trial.ask("?"), ["rival"]);
  },

  "what a node was answering when it stops to serve ends": async (trial) => {
    const { all, served } = await trial.hold();
    const sent = [trial.send("1"), trial.send("2")];
    await trial.eventually("the receiver gets both", () => all.length === 2);
    await all[0]!.reply("1");
    await trial.settles("stopping", served[Symbol.asyncDispose]());
    for (const held of all) held.finish();
    for (const each of sent) {
      const end = await trial.ended(each);
      must(`it is answered or broken off, not ${end}`, end === "ok" || end === "TRANSPORT");
    }
  },

  "what is UNAVAILABLE reached no receiver, while nodes come and go": async (trial) => {
    const got = new Map<unknown, number>();
    const sent: [string, ReturnType<TransportTrial["send"]>][] = [];
    const send = (): void => {
      for (let n = 0; n < 4; n++) {
        const frame = `${sent.length}`;
        sent.push([frame, trial.send(frame)]);
      }
    };
    for (let round = 0; round < 12; round++) {
      const served = await trial.serve(async (frame, reply) => {
        got.set(frame, (got.get(frame) ?? 0) + 1);
        if (Number(frame) % 3 === 0) await trial.subject.pass(2);
        await reply(frame);
      });
      send();
      if (round % 3 === 0) await Promise.all(sent.map(([, each]) => trial.ended(each)));
      else await trial.subject.pass(round % 4);
      send();
      const stopping = served[Symbol.asyncDispose]();
      send();
      await stopping;
      if (round % 2 === 0) send();
      await trial.subject.pass(round % 2);
    }
    const ends = new Set<string>();
    for (const [frame, each] of sent) {
      const end = await trial.ended(each);
      const times = got.get(frame) ?? 0;
      ends.add(end);
      must(`one that ends with ${end} was received ${times} times`, fits(end, times));
      if (end === "ok") same("its replies", each.replies, [frame]);
    }
    must(`some go well and some do not: ${[...ends].join()}`, ends.has("ok") && ends.has("UNAVAILABLE"));
  },
};

function fits(end: string, times: number): boolean {
  if (end === "ok") return times === 1;
  return end === "UNAVAILABLE" ? times === 0 : end === "TRANSPORT" && times <= 1;
}
