/** Upstash's own: its lock, its rate limiter, and plain commands of its client. */
import { Lock } from "@upstash/lock";
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";
import { nextOrder, type Order } from "../harness/order.ts";
import { expect, type MakeOperation, type Operation, restOf } from "../harness/redis.ts";
import { keysOf, VALUES } from "./redis_names.ts";

/** As its users have it: what meets in a turn shares a request, unless `singly`. */
function clientAt(port: number, singly = false): Redis {
  return new Redis({ ...restOf(port), enableAutoPipelining: !singly });
}

export const locking: MakeOperation = (port) => {
  const redis = clientAt(port);
  const make = (id: string): Lock => new Lock({ id, redis, retry: { attempts: 1, delay: 0 } });
  return {
    run: async (lane) => {
      const lock = make(`stock/${lane}`);
      expect("a lock is held", await lock.acquire());
      expect("and let go", await lock.release());
    },
    check: async () => {
      const [one, two] = [make("stock/one"), make("stock/one")];
      expect("a lock is held", await one.acquire());
      expect("a lock that is held is refused", !await two.acquire());
    },
  };
};

/** Lets a key go if it still says who has it. */
const RELEASE =
  `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return 0 end`;

export const lockingPlainly: MakeOperation = (port) => lockingBy(clientAt(port));

function lockingBy(redis: Redis): Operation {
  const take = async (key: string, id: string): Promise<boolean> =>
    await redis.set(key, id, { nx: true, px: 10_000 }) === "OK";
  return {
    run: async (lane) => {
      const [key, id] = [`stock/${lane}`, crypto.randomUUID()];
      expect("a lock is held", await take(key, id));
      expect("and let go", await redis.eval(RELEASE, [key], [id]) === 1);
    },
    check: async () => {
      expect("a lock is held", await take("stock/one", "one"));
      expect("a lock that is held is refused", !await take("stock/one", "two"));
    },
  };
}

type Limiter = (many: number, per: `${number} s`) => ReturnType<typeof Ratelimit.slidingWindow>;

export const slidingWindow: MakeOperation = (port, what) =>
  limitingBy(port, what, (many, per) => Ratelimit.slidingWindow(many, per));
export const tokenBucket: MakeOperation = (port, what) =>
  limitingBy(port, what, (many, per) => Ratelimit.tokenBucket(many, per, many));

function limitingBy(port: number, what: string, limiter: Limiter): Operation {
  const redis = clientAt(port);
  const keyOf = keysOf(what);
  const many = new Ratelimit({ redis, limiter: limiter(1e9, "60 s"), ephemeralCache: false, prefix: "many" });
  const few = new Ratelimit({ redis, limiter: limiter(50, "3600 s"), ephemeralCache: false, prefix: "few" });
  return {
    run: async (lane) => {
      const { success, reason } = await many.limit(keyOf(lane));
      // It allows what it had no answer for in time.
      expect("what is far from its limit is allowed", success && reason === undefined);
    },
    check: async () => {
      let allowed = 0;
      for (let asked = 0; asked < 80; asked++) if ((await few.limit("few")).success) allowed++;
      expect("50 of 80 are allowed", allowed === 50);
    },
  };
}

export const getting: MakeOperation = (port) => {
  const redis = clientAt(port);
  const ids: number[] = [];
  let at = 0;
  const get = async (): Promise<void> => {
    const id = ids[at = at + 1 === VALUES ? 0 : at + 1]!;
    expect("a value is what was kept", (await redis.get<Order>(`orders/${id}`))?.id === id);
  };
  return {
    run: get,
    check: async () => {
      const orders = Array.from({ length: VALUES }, nextOrder);
      await Promise.all(orders.map((order) => redis.set(`orders/${order.id}`, order, { px: 60_000 })));
      ids.push(...orders.map(({ id }) => id));
      await get();
    },
  };
};

/** Each command is a request. */
export const turningSingly: MakeOperation = (port, what) => turningBy(clientAt(port, true), what);
/** What meets in a turn is one request. */
export const turning: MakeOperation = (port, what) => turningBy(clientAt(port), what);

/** A lock, or what an idempotent command takes: a claim, and the answer in its place. */
function turningBy(redis: Redis, what: string): Operation {
  if (what.includes("lock")) return lockingBy(redis);
  const claim = async (id: number): Promise<boolean> =>
    await redis.set(`orders.place/${id}`, "claim", { nx: true, px: 10_000 }) === "OK";
  return {
    run: async () => {
      const { id } = nextOrder();
      expect("an order is new", await claim(id));
      expect("its answer is kept", await redis.set(`orders.place/${id}`, `${id}`, { px: 60_000 }) === "OK");
    },
    check: async () => {
      const { id } = nextOrder();
      expect("an order is new", await claim(id));
      expect("an order that comes twice is known", !await claim(id));
    },
  };
}
