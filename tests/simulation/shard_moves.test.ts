/** What happens to the shards of a node that crashes, loses the store, is slow to let go, or has too many to give. */

import { describe, expect, test } from "bun:test";
import { command, createMediator, handle, type OwnedShard, type Result, type } from "@catga/catga";
import {
  type ClusterEvent,
  joinCluster,
  type Node,
  type ShardMovedEvent,
  type ShardOptions,
} from "@catga/catga/cluster";
import { simulate, type SimulatedStore, simulatedStore, type Simulation } from "@catga/catga/testing";
import { rendezvous } from "../../src/cluster/rendezvous.ts";
import { drain } from "./drain.ts";

const COUNT = 64;
const Put = command("put", {
  input: type<{ readonly key: string; readonly ms?: number }>(),
  output: type<string>(),
  shard: { key: ({ key }) => key, count: COUNT },
});
const world = (seed: number) => ({ seed, ...(drain === undefined ? {} : { drain }) });

/** Nodes with one sharded contract over a simulated store. */
class Fleet {
  readonly nodes: Map<string, Node> = new Map();
  readonly moves: ShardMovedEvent[] = [];
  readonly grants: OwnedShard[] = [];
  readonly aborted: string[] = [];
  readonly store: SimulatedStore;
  readonly #simulation: Simulation;
  readonly #network;
  readonly #options: ShardOptions;

  constructor(simulation: Simulation, options: ShardOptions = {}) {
    this.#simulation = simulation;
    this.#network = simulation.network({ latency: [0.2, 2] });
    this.store = simulatedStore(simulation);
    this.#options = options;
  }

  async join(...names: readonly string[]): Promise<void> {
    for (const name of names) this.#start(name);
    expect(await this.until(() => names.every((name) => this.nodes.has(name)))).toBe(true);
  }

  /** Who has which shards, by number. */
  held(name: string): number[] {
    return this.nodes.get(name)!.inspect().shards.filter(({ here }) => here === "owned").map(({ index }) =>
      index
    );
  }

  owners(name: string): (string | undefined)[] {
    return this.nodes.get(name)!.inspect().shards.map(({ owner }) => owner);
  }

  /** Whether all shards are where they should be, and all nodes know. */
  settled(): boolean {
    const names = [...this.nodes.keys()];
    const { owner } = rendezvous(names.map((id) => ({ id })));
    return names.every((name) =>
      this.nodes.get(name)!.inspect().shards.every(({ index, owner: found, here }) => {
        const wanted = owner(`put/${index}`);
        return found === wanted && (here === "owned") === (wanted === name);
      })
    );
  }

  until(condition: () => boolean, ms = 20_000): Promise<boolean> {
    return this.#simulation.until(condition, ms);
  }

  /** Sends, and tells what came of it once that is there. */
  send(from: string, key: string, ms = 0): { result?: Result<string> } {
    const sent: { result?: Result<string> } = {};
    void this.nodes.get(from)!.send(Put({ key, ms })).then((result) => sent.result = result);
    return sent;
  }

  /** A key whose shard a node has. */
  keyOf(name: string): string {
    const node = this.nodes.get(name)!;
    for (let n = 0;; n++) if (node.explain(Put({ key: `k${n}` })).shard?.owner === name) return `k${n}`;
  }

  #start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const put = handle(Put, ({ ms = 0 }, { shard, signal }) => {
      const { group, index, token } = shard!;
      this.grants.push({ group, index, token });
      signal.addEventListener("abort", () => this.aborted.push(`${name}: ${String(signal.reason.message)}`));
      return new Promise((resolve) => void runtime.clock.timer(ms, () => resolve(name)));
    });
    const { backend } = this.#network;
    void joinCluster(createMediator({ runtime, handlers: [put] }), {
      node: name,
      endpoint: `sim:${name}`,
      backend: {
        ...backend,
        open: (host) => ({ ...backend.open(host), store: this.store.open(host.runtime) }),
      },
      timing: "fast",
      drain: 3000,
      shards: this.#options,
    }).then(async (node) => {
      this.nodes.set(name, node);
      for await (const { events } of node.watch()) {
        for (const event of events as readonly ClusterEvent[]) {
          if (event.type === "shardMoved" && name === "a") this.moves.push(event);
        }
      }
    });
  }
}

describe("shards", () => {
  test("of a node that crashed have other owners with larger tokens, and calls wait for them", async () => {
    await simulate(world(1), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a", "b", "c");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      const [lost, key] = [fleet.held("c"), fleet.keyOf("c")];
      const first = fleet.send("a", key);
      await fleet.until(() => first.result !== undefined);
      expect(first.result).toEqual({ ok: true, value: "c" });

      simulation.crash("c");
      fleet.nodes.delete("c");
      const crashed = simulation.time;
      const moves = fleet.moves.length;
      const sent = fleet.send("a", key);
      await fleet.until(() => sent.result !== undefined);
      expect(sent.result?.ok).toBe(true);
      // A lease of 1 s, a heartbeat of 200 ms, and what it takes to be sure that the node is gone.
      expect(simulation.time - crashed).toBeLessThan(2000);
      const [before, after] = fleet.grants;
      expect(after!.token!).toBeGreaterThan(before!.token!);
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      const since = fleet.moves.slice(moves);
      expect(since.map(({ index }) => index).sort((x, y) => x - y)).toEqual(lost);
      expect(since.every(({ from }) => from === "c")).toBe(true);
    });
  });

  test("are nobody's that the store cannot be asked for, are taken by others, and come back", async () => {
    await simulate(world(2), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a", "b", "c");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      const key = fleet.keyOf("b");
      const slow = fleet.send("a", key, 20_000);
      await simulation.run(50);
      fleet.store.cut("b");
      expect(await fleet.until(() => fleet.held("b").length === 0, 1500)).toBe(true);
      // What was at work is told to stop, and nothing new begins there.
      expect(fleet.aborted).toEqual([expect.stringContaining("no longer this node's")]);
      const other = fleet.send("a", key);
      expect(await fleet.until(() => other.result !== undefined, 2000)).toBe(true);
      expect(other.result?.ok).toBe(true);
      expect(await fleet.until(() => fleet.held("a").length + fleet.held("c").length === COUNT)).toBe(true);
      fleet.store.mend("b");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      expect(await fleet.until(() => slow.result !== undefined, 30_000)).toBe(true);
    });
  });

  test("wait for what is at work because of them before they move, and new calls wait for that", async () => {
    await simulate(world(3), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a", "b");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      const before = fleet.owners("a");
      // One call on each shard that takes its time.
      const calls = Array.from({ length: 400 }, (_, n) => fleet.send("a", `k${n}`, 1000));
      await simulation.run(50);
      await fleet.join("c");
      expect(
        await fleet.until(() =>
          fleet.nodes.get("a")!.inspect().shards.some(({ here }) => here === "leaving")
        ),
      )
        .toBe(true);
      const late = Array.from({ length: 400 }, (_, n) => fleet.send("b", `k${n}`));
      expect(await fleet.until(() => [...calls, ...late].every(({ result }) => result !== undefined))).toBe(
        true,
      );
      expect([...calls, ...late].filter(({ result }) => result?.ok !== true)).toEqual([]);
      expect(fleet.aborted).toEqual([]);
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      const after = fleet.owners("a");
      const moved = after.filter((owner, index) => owner !== before[index]);
      expect(moved.every((owner) => owner === "c")).toBe(true);
      expect(moved.length / COUNT).toBeLessThan(1 / 3 + 0.05);
    });
  });

  test("are let go of after the time to drain, and handlers that go on are told", async () => {
    await simulate(world(4), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a", "b");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      for (let n = 0; n < 400; n++) fleet.send("a", `k${n}`, 60_000);
      await simulation.run(50);
      await fleet.join("c");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      expect(fleet.aborted.length).toBeGreaterThan(0);
      expect(simulation.time).toBeLessThan(10_000);
    });
  });

  test("move as many at a time as they may, once the nodes have been the same for a while", async () => {
    await simulate(world(5), async (simulation) => {
      const fleet = new Fleet(simulation, { moves: 2, settle: 1000 });
      await fleet.join("a");
      expect(await fleet.until(() => fleet.held("a").length === COUNT)).toBe(true);
      const came = simulation.time;
      await fleet.join("b");
      await simulation.run(came + 900 - simulation.time);
      expect(fleet.held("a").length).toBe(COUNT);
      let most = 0;
      let at = COUNT;
      while (!fleet.settled()) {
        await simulation.run(200);
        const left = fleet.held("a").length;
        most = Math.max(most, at - left);
        at = left;
        if (simulation.time > 60_000) throw new Error("the shards do not move");
      }
      // Two in each heartbeat, of which a window of that length sees at most two.
      expect(most).toBeLessThanOrEqual(4);
      expect(most).toBeGreaterThan(0);
    });
  });

  test("are given away by a node that leaves, so that none is without an owner for long", async () => {
    await simulate(world(6), async (simulation) => {
      const fleet = new Fleet(simulation);
      await fleet.join("a", "b", "c");
      expect(await fleet.until(() => fleet.settled())).toBe(true);
      let left = false;
      const began = simulation.time;
      void fleet.nodes.get("c")!.leave().then(() => left = true);
      fleet.nodes.delete("c");
      expect(await fleet.until(() => fleet.settled(), 1000)).toBe(true);
      // Far less than the lease of 1 s.
      expect(simulation.time - began).toBeLessThan(600);
      expect(await fleet.until(() => left)).toBe(true);
    });
  });

  test("of a node that leaves keep no caller waiting for as long as a heartbeat", async () => {
    await simulate(world(7), async (simulation) => {
      const fleet = new Fleet(simulation, { settle: 5000 });
      await fleet.join("a", "b", "c");
      expect(await fleet.until(() => fleet.settled(), 30_000)).toBe(true);
      let longest = 0;
      let failed = 0;
      const call = (n: number): void => {
        const since = simulation.time;
        void fleet.nodes.get("a")!.send(Put({ key: `k${n}` })).then(({ ok }) => {
          if (!ok) failed++;
          longest = Math.max(longest, simulation.time - since);
          simulation.after(5, () => call(n));
        });
      };
      for (let n = 0; n < 40; n++) call(n);
      await simulation.run(500);
      void fleet.nodes.get("c")!.leave();
      fleet.nodes.delete("c");
      await simulation.run(3000);
      expect(failed).toBe(0);
      expect(longest).toBeLessThan(200);
    });
  });
});
