/** The owner of a key among 100 nodes, and a ring with one node more. */
import ConsistentHash from "consistent-hash";
import { HashRing as EffectRing, PrimaryKey } from "effect";
import HashRing from "hashring";
import { createRing } from "../../src/cluster/ring.ts";
import { hash32 } from "../../src/internal/hash.ts";
import type { Candidate, Candidates } from "../harness/candidate.ts";

const POINTS = 256;
const PER = 1000;
const ids = Array.from({ length: 100 }, (_, at) => `node-${at}`);
const keys = Array.from({ length: 4096 }, (_, at) => `key-${100_000 + at}`);
const members = ids.map((id) => ({ id }));
const more = [...members, { id: "node-100" }];

function looking(owner: (key: string) => string): Candidate {
  let at = 0;
  const run = (): number => {
    let letters = 0;
    for (let n = 0; n < PER; n++) letters += owner(keys[at++ & 4095]!).length;
    return letters;
  };
  return { run, per: PER, check: (letters) => (letters as number) >= PER * "node-0".length };
}

/** The limit: the same answers, with everything in variables of one function. */
function entered(): Candidate {
  const points = ids.flatMap((id) =>
    Array.from({ length: POINTS }, (_, n) => ({ id, place: hash32(`${id}#${n}`) }))
  );
  points.sort((a, b) => a.place - b.place || (a.id < b.id ? -1 : 1));
  points.push({ id: points[0]!.id, place: 0xffffffff });
  const places = Uint32Array.from(points, ({ place }) => place);
  const owners = Uint16Array.from(points, ({ id }) => ids.indexOf(id));
  const table = Uint32Array.from({ length: 32_768 }, (_, part) => {
    return places.findIndex((place) => place >= part * 2 ** 17);
  });
  const ring = createRing(members, { points: POINTS });
  const owner = (key: string): string => {
    let hash = 0x811c9dc5;
    for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash = (hash ^ (hash >>> 16)) >>> 0;
    let at = table[hash >>> 17]!;
    while (places[at]! < hash) at++;
    return ids[owners[at]!]!;
  };
  for (const key of keys) {
    if (owner(key) !== ring.owner(key)) throw new Error(`Not the same owner of ${key}`);
  }
  return looking(owner);
}

/** One joins, then leaves: two rings. */
function changing(change: (joins: boolean) => number): Candidate {
  return { run: () => change(true) + change(false), per: 2, check: (sizes) => sizes === 201 };
}

class Member implements PrimaryKey.PrimaryKey {
  readonly id: string;
  constructor(id: string) {
    this.id = id;
  }
  [PrimaryKey.symbol](): string {
    return this.id;
  }
}
const effectRing = () => EffectRing.make<Member>().pipe(EffectRing.addMany(ids.map((id) => new Member(id))));

function effectChanging(): Candidate {
  const ring = effectRing();
  const guest = new Member("node-100");
  return changing((joins) => {
    if (joins) EffectRing.add(ring, guest);
    else EffectRing.remove(ring, guest);
    return joins ? 101 : 100;
  });
}

function hashringChanging(): Candidate {
  const ring = new HashRing(ids);
  return changing((joins) => {
    if (joins) ring.add("node-100");
    else ring.remove("node-100");
    return joins ? 101 : 100;
  });
}

function catgaChanging(): Candidate {
  let ring = createRing(members);
  return changing((joins) => {
    ring = ring.to(joins ? more : members);
    return ring.ids.length;
  });
}

export const candidates: Candidates = {
  "owner: ring entered through a table": entered,
  "owner: catga": () => {
    const ring = createRing(members);
    return looking((key) => ring.owner(key)!);
  },
  "owner: Effect": () => {
    const ring = effectRing();
    return looking((key) => EffectRing.get(ring, key)!.id);
  },
  "owner: hashring": () => {
    const ring = new HashRing(ids, "md5", { "max cache size": 1 });
    return looking((key) => ring.get(key));
  },
  "owner: consistent-hash": () => {
    const ring = new ConsistentHash();
    for (const id of ids) ring.add(id);
    return looking((key) => ring.get(key));
  },
  "change: catga": catgaChanging,
  "change: Effect": effectChanging,
  "change: hashring": hashringChanging,
};
