import { http } from "@catga/catga/http";
import { systemRuntime } from "@catga/catga/ports";
import { ask } from "./ask.ts";
import { type NodeProcess, pause } from "./cluster.ts";
import { agreed, deaths, sightings, withFaultNodes } from "./fault_cluster.ts";
import { OpenLoad } from "./open_load.ts";
import { Report } from "./report.ts";

const DEEP = 100_000;
/** Whose frames these are, which life of its, and a number that becomes each frame's own. */
const from = '"stranger",1,0';
const call = (message: string): string => `[1,"call",${from},[${message}]]`;
const frames: readonly (string | Uint8Array)[] = [
  "{",
  "{}",
  "",
  "[".repeat(DEEP),
  "[".repeat(DEEP) + "]".repeat(DEEP),
  `[2,"call",${from},[]]`,
  `[1,"shutdown",${from},[]]`,
  `[1,"beat",${from},[["stranger",1e999],-1,[["gone","node-1",1e999,true],["suspect","node-1",{},[]]],[]]]`,
  `[1,"beat",${from},[[],{},5,null]]`,
  `[1,"beat",${from},["ping",{"toString":1}]]`,
  `[1,"cancel",${from},[[{},{}],null]]`,
  call('["work"]'),
  call('["nobody",{},1000,{}]'),
  call('["work",{"takes":0},-1,5]'),
  call("null,5,[]"),
  call(`["work",${"[".repeat(DEEP)}${"]".repeat(DEEP)},1000,{}]`),
  call('["work",{"__proto__":{"takes":9},"takes":0},1000,{"__proto__":"x"}]'),
  new Uint8Array([0xff, 0xfe, 0x00, 0x80]),
  new Uint8Array(1000),
];

/** Sends what no node would say, and has answers made that cannot be sent, beside a load that must not suffer. */
export async function poison(
  { count, rate, lasts }: {
    readonly count: number;
    readonly rate: number;
    /** How long the load lasts with poison in it, and as long without before, in ms. */
    readonly lasts: number;
  },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("poison");
  await withFaultNodes(async (nodes) => {
    const began = Date.now();
    const load = new OpenLoad(nodes.map(({ url }) => url), { rate });
    const codes: string[] = [];
    let poisoned = 0;
    let ended = 0;
    try {
      await pause(lasts);
      poisoned = Date.now();
      for (let sent = 0; sent < count; sent++) {
        if (sent % 50 === 0) note(`${sent} of ${count}`);
        const node = nodes[sent % nodes.length]!;
        codes.push(await give(node, sent));
        await pause(Math.max(0, poisoned + lasts * sent / count - Date.now()));
      }
      ended = Date.now();
    } finally {
      await load.stop();
    }
    await agreed(nodes);
    const before = slowest(load, began, poisoned);
    report.tell("calls", load.calls.length);
    report.none("failed calls", load.failed().map(({ failed }) => failed!));
    report.tell("poison", `${count}: ${counted(codes)}`);
    report.none("poison that was not answered", codes.filter((code) => code === "silent"));
    report.none("processes that ended", nodes.filter(({ process }) => process.gone).map(({ name }) => name));
    report.none("nodes declared dead", deaths(await sightings(nodes, began), []));
    report.times("p99 of a call before", [before]);
    report.times("p99 of a call beside poison", [slowest(load, poisoned, ended)], 2 * before);
  });
  return report;
}

/** Gives a node the next piece; answers what it said to that. */
async function give(node: NodeProcess, turn: number): Promise<string> {
  const kind = turn % (frames.length + 2);
  if (kind === frames.length) {
    const { status, body } = await ask("GET", `${node.url}/odd`, undefined, 5000);
    return status === 0 ? "silent" : (body as { readonly code: string }).code;
  }
  if (kind === frames.length + 1) {
    const { status } = await ask("POST", `${node.url}/catga/v1`, { not: "signed" }, 5000);
    return status === 0 ? "silent" : String(status);
  }
  const self = { id: "stranger", endpoint: "http://127.0.0.1:9" };
  const { transport } = http({ peers: [] }).open({ self, runtime: systemRuntime() });
  try {
    const signal = AbortSignal.timeout(5000);
    let replies = 0;
    const frame = frames[kind]!;
    const own = typeof frame === "string" ? frame.replace(from, `"stranger",1,${turn + 1}`) : frame;
    await transport.exchange({ id: node.name, endpoint: node.url }, own, () => void replies++, { signal });
    return replies === 0 ? "taken" : "answered";
  } catch (thrown) {
    const { code } = thrown as { readonly code: string };
    return code === "CANCELLED" ? "silent" : code;
  } finally {
    await transport[Symbol.asyncDispose]();
  }
}

/** How long the slowest but one of a hundred calls took, in ms. */
function slowest(load: OpenLoad, from: number, to: number): number {
  const took = load.calls.filter(({ began }) => began >= from && began < to).map((each) =>
    each.ended - each.began
  );
  return took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? 0;
}

function counted(codes: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].map(([code, count]) => `${code} ${count}`).join(", ");
}
