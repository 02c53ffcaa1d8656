import { describe, expect, test } from "bun:test";
import { memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";
import { KeptLease } from "../../src/durable/kept_lease.ts";

const runtime = systemRuntime();

function keep(ttl = 1000) {
  const store = memoryStore({ clock: runtime.clock });
  const said: string[] = [];
  const kept = new KeptLease({
    store,
    runtime,
    owner: "a",
    ttl,
    key: () => "k",
    gained: ({ token }) => said.push(`gained ${token}`),
    lost: () => said.push("lost"),
    failed: () => said.push("failed"),
  });
  return { store, kept, said };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

describe("a lease that is kept", () => {
  test("can be closed at any moment, and leaves nothing behind", async () => {
    for (let moment = 0; moment < 60; moment++) {
      const { store, kept, said } = keep();
      for (let n = 0; n < moment; n++) await Promise.resolve();
      await kept.close();
      await turn();
      expect(await store.list("")).toEqual([]);
      expect(["", "gained 1,lost"]).toContain(said.join());
    }
  });

  test("is held again after it was lost or let go, with a larger token", async () => {
    const { store, kept, said } = keep(150);
    while (kept.held === undefined) await turn();
    const first = kept.held.token;
    await store.delete("k");
    while (kept.held === undefined || kept.held.token === first) await turn();
    const second = kept.held.token;
    expect(second).toBeGreaterThan(first);
    await kept.letGo(10);
    expect(kept.held).toBe(undefined);
    while (kept.held === undefined) await turn();
    expect((kept.held as { token: number }).token).toBeGreaterThan(second);
    await kept.close();
    expect(said.map((word) => word.split(" ")[0])).toEqual([
      "gained",
      "lost",
      "gained",
      "lost",
      "gained",
      "lost",
    ]);
  });
});
