import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memory } from "@catga/catga/memory";
import { nats } from "@catga/catga/nats";
import { type Backend, type Storage, withStorage } from "@catga/catga/ports";
import { redis } from "@catga/catga/redis";
import { sqlite } from "@catga/catga/sqlite";
import { startNats } from "../nats/server.ts";
import { openStand, TOKEN } from "../redis/support.ts";

/** What keeps events for several processes: a file, or a server of its own that can be killed. */
export interface Keeper extends AsyncDisposable {
  readonly storage: Required<Storage>;
  /** The backend of a node in this process. */
  readonly backend: Backend;
  /** What a process is given to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Kills what keeps them with -9, and begins it again; `undefined` where nobody does but the processes themselves. */
  readonly killServer: (() => Promise<void>) | undefined;
}

const keepers = { file: openFile, nats: openNats, redis: openRedis };
export type KeeperKind = keyof typeof keepers;

export const openKeeper = (kind: KeeperKind): Promise<Keeper> => keepers[kind]();

async function openFile(): Promise<Keeper> {
  const folder = mkdtempSync(join(tmpdir(), "catga-"));
  const FILE = join(folder, "storage.db");
  const storage = await sqlite(FILE, { durability: "process" });
  return {
    storage,
    backend: withStorage(memory(), storage),
    env: { FILE },
    killServer: undefined,
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

async function openNats(): Promise<Keeper> {
  const server = await startNats();
  const backend = await nats(server.ws);
  return {
    storage: backend as Required<Storage>,
    backend,
    env: { NATS: server.ws },
    killServer: () => server.restart(),
    [Symbol.asyncDispose]: async () => {
      await backend[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The gateway is in this process. */
async function openRedis(): Promise<Keeper> {
  const stand = await openStand();
  const storage = redis({ url: stand.url, token: TOKEN }, { polling: "fast" });
  return {
    storage: storage as Required<Storage>,
    backend: withStorage(memory(), storage),
    env: { REDIS: stand.url, REDIS_TOKEN: TOKEN },
    killServer: () => stand.server.restart(),
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]();
      await stand[Symbol.asyncDispose]();
    },
  };
}
