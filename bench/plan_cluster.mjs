// What is measured of a cluster beside single calls; as plan.mjs.
export const clusterRows = {
  shards: {
    title: "A command to the owner of its shard, and by consistent hash, in one process",
    kind: "local",
    unit: "ns a send",
    candidates: ["here", "there"].flatMap((at) => [`shard, ${at}`, `consistentHash, ${at}`]),
    compare: [
      { ours: "shard, here", other: "consistentHash, here" },
      { ours: "shard, there", other: "consistentHash, there" },
    ],
    notes: [
      "Here: the sending node owns it. There: another node does, over the transport within a process.",
      "64 shards, 256 keys, two nodes; owners hold leases of the memory store.",
    ],
  },
  shardMoves: {
    title: "Calls of shards that move, four nodes in one process",
    kind: "figures",
    script: "rows/shard_moves.ts",
    figures: {
      median: "ms without an answer, median of the moved shards",
      longest: "ms without an answer, longest of the moved shards",
      stayed: "ms without an answer, longest of the other shards",
    },
    candidates: ["a node joins", "a node leaves", "a node crashes"],
    compare: [],
    notes: [
      "32 shards, each with one caller that calls again 1 ms after its answer; `fast` timing (heartbeat 200 ms, timeout 1 s), memory store.",
      "Leases last as long as the timeout, so that is what a crash takes at least up to the last renewal.",
    ],
  },
  membership: {
    title: "What membership says and costs, by the simulator",
    kind: "figures",
    script: "rows/membership.ts",
    /** Frames and bytes are the same each time. */
    rounds: 2,
    figures: {
      frames: "frames a node and second",
      bytes: "bytes a node and second",
      cpu: "CPU µs a node and second",
    },
    candidates: [5, 25, 100, 200].map((size) => `${size} nodes`),
    compare: [25, 100, 200].flatMap((size) => [
      { of: "frames", ours: `${size} nodes`, other: "5 nodes", want: 1.2 },
      { of: "bytes", ours: `${size} nodes`, other: "5 nodes", want: 1.5 },
      { of: "cpu", ours: `${size} nodes`, other: "5 nodes" },
    ]),
    notes: [
      "Default timing (heartbeat 1 s), latency 0.2 to 5 ms, nothing else under way. Frames, replies and their ends count.",
      "CPU is all of the process, the simulator's own work included.",
    ],
  },
  scaling: {
    title: "From one node to two, a query of some 0.2 ms of hashing",
    kind: "figures",
    rates: ["perSecond"],
    figures: { perSecond: "calls a second", callerCpu: "CPU µs a call of the caller" },
    candidates: ["no caller", "roundRobin", "powerOfTwo"].flatMap((
      how,
    ) => [`1 process, ${how}`, `2 processes, ${how}`]),
    compare: ["no caller", "roundRobin", "powerOfTwo"].map((how) => (
      { of: "perSecond", ours: `2 processes, ${how}`, other: `1 process, ${how}` }
    )),
    notes: [
      "No caller: the same hashing as often as it can be done, in one process and in two at once: what this machine has.",
      "Otherwise each process is a node, and one more calls them over HTTP with 128 calls in flight; it shares the two cores with them.",
    ],
  },
};
