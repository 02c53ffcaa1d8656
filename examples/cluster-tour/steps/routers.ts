import { unwrap } from "@catga/catga";
import {
  consistentHash,
  firstOf,
  leaderOnly,
  localFirst,
  type Node,
  roundRobin,
  tagged,
  toNode,
  weightedRoundRobin,
  zoneFirst,
} from "@catga/catga/cluster";
import { AskAround, Who } from "../contracts.ts";
import { NAMES } from "../fleet.ts";
import { comesTrue } from "../sleep.ts";
import { answeredBy, ask, countOf, type Tour } from "../tour.ts";

const KEYS: readonly string[] = Array.from({ length: 20 }, (_, n) => `order-${n + 1}`);

/** Every way to say which node gets a call. Here each send says it; a contract or the node can say it as well. */
export async function routers(tour: Tour, node: Node): Promise<void> {
  await tour.step("Round robin: the nodes in turn", async (step) => {
    const answers = await ask(node, 50, Who({}), { route: roundRobin() });
    step.table(answers);
    step.explained(node.explain(Who({})));
    step.promise("each got a fifth", NAMES.every((name) => countOf(answers, name) === 10));
  });

  await tour.step("Weighted round robin: node-3 weighs twice as much", async (step) => {
    const answers = await ask(node, 60, Who({}), { route: weightedRoundRobin() });
    step.table(answers);
    const fair = NAMES.every((name) => countOf(answers, name) === (name === "node-3" ? 20 : 10));
    step.promise("node-3 got two calls for each of the others' one", fair);
  });

  await tour.step("Consistent hash: one node a key, whoever asks", async (step) => {
    const route = consistentHash();
    const ownersOf = async () => (await node.sendAll(KEYS.map((key) => Who({ key })), { route })).map(unwrap);
    const agreed = async () => {
      const owners = String(await ownersOf());
      const around = await node.broadcast(AskAround({ keys: KEYS }));
      return around.every(({ result }) => result.ok && String(result.value.owners) === owners);
    };
    step.table(await ownersOf());
    step.explained(node.explain(Who({ key: KEYS[0]! }), { route }));
    const all = `all five nodes send each of ${KEYS.length} keys to the same node as the guide`;
    step.promise(all, await comesTrue(agreed));
  });

  await tour.step("Consistent hash with bounded load: one hot key, 100 calls at once", async (step) => {
    const message = Who({ key: "hot", slow: Object.fromEntries(NAMES.map((name) => [name, 20])) });
    const unbounded = await ask(node, 100, message, { route: consistentHash() });
    const answers = await ask(node, 100, message, { route: consistentHash({ bound: 1.25 }) });
    step.table(answers);
    const [only] = answeredBy(unbounded);
    step.promise(`without a bound all went to ${only}`, answeredBy(unbounded).length === 1);
    const most = Math.max(...NAMES.map((name) => countOf(answers, name) / (name === "node-3" ? 2 : 1)));
    step.promise("with one nobody got more than 1.25 times its share", most <= Math.ceil(1.25 * 101 / 6));
  });

  await tour.step("Local first: a node that serves it asks itself", async (step) => {
    const around = await node.broadcast(AskAround({ keys: [] }));
    step.table(around.flatMap(({ result }) => result.ok ? [result.value.nearest] : []));
    step.promise(
      "each node answered itself",
      around.length === NAMES.length &&
        around.every(({ node, result }) => result.ok && result.value.nearest === node),
    );
    const answers = await ask(node, 10, Who({}), { route: localFirst() });
    step.promise(
      "for the guide, who serves nothing, others did",
      answeredBy(answers).length === NAMES.length,
    );
  });

  await tour.step("Zone first: the guide stands in the east", async (step) => {
    const answers = await ask(node, 40, Who({}), { route: zoneFirst() });
    step.table(answers);
    step.promise(
      "node-1 and node-2 answered, who stand there",
      String(answeredBy(answers)) === "node-1,node-2",
    );
  });

  await tour.step("Tags: blue and green", async (step) => {
    const green = await ask(node, 40, Who({}), { route: tagged({ version: "green" }) });
    step.table(green);
    step.promise("only green nodes answered", String(answeredBy(green)) === "node-4,node-5");
    const route = firstOf(tagged({ version: "purple" }), tagged({ version: "blue" }));
    const instead = await ask(node, 30, Who({}), { route });
    step.promise(
      "as nobody is purple, blue ones did",
      String(answeredBy(instead)) === "node-1,node-2,node-3",
    );
  });

  await tour.step("One node by name, the leader, a function of one's own", async (step) => {
    step.promise(
      "node-3 answered",
      unwrap(await node.send(Who({}), { route: toNode("node-3") })) === "node-3",
    );
    await comesTrue(() => node.leader !== undefined);
    const led = unwrap(await node.send(Who({}), { route: leaderOnly() }));
    step.promise(`${led} leads and answered`, led === node.leader?.id);
    const answers = await ask(node, 10, Who({}), { route: (_call, nodes) => nodes.at(-1) });
    step.promise("the last in the list answered", String(answeredBy(answers)) === "node-5");
  });

  await tour.step("Broadcast: all nodes, one entry each", async (step) => {
    const entries = await node.broadcast(Who({ slow: { "node-2": 1000 } }), { timeout: 250 });
    for (const { node, result } of entries) {
      step.say(`${node}  ${result.ok ? result.value : result.error.code}`);
    }
    const kept = entries.length === NAMES.length &&
      entries.every(({ node, result }) =>
        result.ok ? result.value === node : node === "node-2" && result.error.code === "TIMEOUT"
      );
    step.promise("four answered, and one has a failure where it was too slow", kept);
  });

  await tour.step("A node kept out by hand", async (step) => {
    node.isolate("node-1");
    const answers = await ask(node, 40, Who({}));
    step.table(answers);
    const state = node.inspect().targets.find(({ id }) => id === "node-1")?.state;
    step.promise(`node-1 is "${state}" and got nothing`, countOf(answers, "node-1") === 0);
    node.restore("node-1");
    step.promise("once restored it got its share", countOf(await ask(node, 40, Who({})), "node-1") === 8);
  });
}
