/** Ids one by one, in batches and as text, beside other libraries. */
import { SnowflakeId } from "@akashrajpurohit/snowflake-id";
import { Snowflake as Sapphire } from "@sapphire/snowflake";
import FlakeId from "flake-idgen";
import { nanoid } from "nanoid";
import { Snowflake as NodeSnowflake } from "nodejs-snowflake";
import { monotonicFactory } from "ulid";
import { v7 } from "uuid";
import { uuidv7 as uuidv7Package } from "uuidv7";
import { layouts, snowflake, uuidv7 } from "../../src/ids/mod.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import type { Candidate, Candidates } from "../harness/candidate.ts";

const PER = 1000;
const BATCH = 4096;
const EPOCH = 1_704_067_200_000;
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const layout = layouts.dense;
/** In ms: a batch after the other for half a second takes more ids than any layout has. */
const ahead = 3_600_000;
const runtime = systemRuntime();

/** Each id goes into an array, so that no compiler can leave it out. */
function each(next: () => unknown): Candidate {
  const made: unknown[] = Array.from({ length: PER }, next);
  const run = (): unknown[] => {
    for (let n = 0; n < PER; n++) made[n] = next();
    return made;
  };
  return { run, per: PER, check: (ids) => new Set(ids as unknown[]).size === PER };
}

/** The limit: a counter beside the bits of the ms, in variables of one function; no bounds, no clock that goes back. */
function counted(): () => bigint {
  let last = 0;
  let base = 0n;
  let count = 0;
  return () => {
    const now = Date.now();
    if (now !== last) {
      last = now;
      base = BigInt(now - EPOCH) << 22n | 1n << 18n;
      count = 0;
    }
    return base + BigInt(count++);
  };
}

/** The limit of text: the same, with all digits but the last two kept for 1024 ids. */
function countedText(): () => string {
  const pairs = Array.from({ length: 1024 }, (_, n) => DIGITS[n >>> 5]! + DIGITS[n & 31]!);
  let last = 0;
  let count = 0;
  let stem = "";
  return () => {
    const now = Date.now();
    if (now !== last || (count & 1023) === 0) {
      if (now !== last) count = 0;
      last = now;
      let id = BigInt(now - EPOCH) << 12n | 1n << 8n | BigInt(count >>> 10);
      stem = "";
      for (let n = 0; n < 11; n++, id >>= 5n) stem = DIGITS[Number(id & 31n)]! + stem;
    }
    return stem + pairs[count++ & 1023]!;
  };
}

function filling(fill: (ids: BigUint64Array) => void): Candidate {
  const ids = new BigUint64Array(BATCH);
  const run = (): BigUint64Array => {
    fill(ids);
    return ids;
  };
  return { run, per: BATCH, check: (ids) => new Set(ids as BigUint64Array).size === BATCH };
}

/** The limit of batches: the lower halves counted into an array, the upper ones the same. */
function countedBatch(): Candidate {
  let count = 0;
  return filling((ids) => {
    const since = Date.now() - EPOCH;
    const halves = new Uint32Array(ids.buffer);
    const high = Math.floor(since / 1024);
    for (let at = 0; at < halves.length; at += 2) {
      halves[at] = count++;
      halves[at + 1] = high;
    }
  });
}

export const candidates: Candidates = {
  "next: clock and counter": () => each(counted()),
  "next: catga": () => {
    const ids = snowflake({ clock: runtime.clock, worker: 1, layout });
    return each(() => ids.next());
  },
  "next: catga, 41-10-12": () => {
    const ids = snowflake({ clock: runtime.clock, worker: 1, ahead });
    return each(() => ids.next());
  },
  "next: catga, as numbers": () => {
    const ids = snowflake({ clock: runtime.clock, worker: 1, layout: layouts.numeric, ahead });
    return each(() => ids.nextNumber());
  },
  "next: @sapphire/snowflake": () => {
    const ids = new Sapphire(EPOCH);
    return each(() => ids.generate());
  },
  "next: nodejs-snowflake": () => {
    const ids = new NodeSnowflake({ custom_epoch: EPOCH, instance_id: 1 });
    return each(() => ids.getUniqueID());
  },
  "batch: counted into an array": countedBatch,
  "batch: catga": () => {
    const ids = snowflake({ clock: runtime.clock, worker: 1, layout, ahead });
    return filling((array) => ids.fill(array));
  },
  "text: clock and counter": () => each(countedText()),
  "text: catga": () => {
    const ids = snowflake({ clock: runtime.clock, worker: 1, layout });
    return each(() => ids.nextText());
  },
  "text: catga, UUID v7": () => each(uuidv7(runtime)),
  "text: @akashrajpurohit/snowflake-id": () => {
    const ids = SnowflakeId({ workerId: 1, epoch: EPOCH });
    return each(() => ids.generate());
  },
  "text: flake-idgen, hex": () => {
    const ids = new FlakeId({ id: 1, epoch: EPOCH });
    return each(() => {
      for (;;) {
        // It throws when the ms has no more.
        try {
          return ids.next().toString("hex");
        } catch {
          continue;
        }
      }
    });
  },
  "text: uuid v7": () => each(() => v7()),
  "text: uuidv7": () => each(() => uuidv7Package()),
  "text: ulid": () => {
    const ulid = monotonicFactory();
    return each(() => ulid());
  },
  "text: nanoid, no time": () => each(() => nanoid()),
  "text: randomUUID, no time": () => each(() => crypto.randomUUID()),
};
