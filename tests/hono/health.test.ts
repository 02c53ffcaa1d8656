import { describe, expect, test } from "bun:test";
import type { ClusterHealth, NodeHealth, Status } from "@catga/catga/cluster";
import { health, type HealthSource, mount } from "@catga/catga/hono";

const node = (id: number): NodeHealth => ({
  nodeId: `node${id}`,
  endpoint: `http://localhost:500${id}`,
  lastSeen: "2025-10-10T10:00:00Z",
  load: 0,
  isOnline: true,
});
const known: ClusterHealth & { readonly secret: string } = {
  currentNode: Object.assign(node(1), { incarnation: 7 }),
  totalNodes: 3,
  onlineNodes: 3,
  nodes: [node(1), node(2), node(3)],
  secret: "not to be seen",
};
const source = (status: Status): { health(): ClusterHealth; status: Status } => ({
  status,
  health: () => known,
});

describe("health", () => {
  test("has the shape that S2 asks for, and no field more", async () => {
    const response = await health(source("ready")).request("/health");
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toEqual({
      currentNode: {
        nodeId: "node1",
        endpoint: "http://localhost:5001",
        lastSeen: "2025-10-10T10:00:00Z",
        load: 0,
        isOnline: true,
      },
      totalNodes: 3,
      onlineNodes: 3,
      nodes: [
        { nodeId: "node1", endpoint: "http://localhost:5001", isOnline: true },
        { nodeId: "node2", endpoint: "http://localhost:5002", isOnline: true },
        { nodeId: "node3", endpoint: "http://localhost:5003", isOnline: true },
      ],
    });
  });

  test.each<[Status, number]>([["joining", 503], ["ready", 200], ["draining", 503], ["left", 503]])(
    "a %s node answers %d to /health/ready and 200 to /health/live",
    async (status, code) => {
      const app = health(source(status));
      const ready = await app.request("/health/ready");
      expect([ready.status, await ready.json()]).toEqual([code, { status }]);
      const live = await app.request("/health/live");
      expect([live.status, await live.json()]).toEqual([200, { status: "live" }]);
    },
  );

  test("a node that has not joined yet is not ready, a process without one is", async () => {
    let joined: HealthSource | undefined = undefined;
    const app = health(() => joined);
    expect((await app.request("/health/ready")).status).toBe(503);
    expect((await app.request("/health")).status).toBe(503);
    joined = source("ready");
    expect((await app.request("/health/ready")).status).toBe(200);
    expect((await health(undefined).request("/health/ready")).status).toBe(200);
    expect((await health(undefined).request("/health")).status).toBe(404);
  });
});

test("mount hands on all that is under a path, untouched", async () => {
  const fetch = async (request: Request): Promise<Response> =>
    new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
  const app = mount({ path: "/catga", fetch });
  const response = await app.request("/catga/v1/exchange", { method: "POST", body: "frame" });
  expect(await response.text()).toBe("POST /catga/v1/exchange frame");
  expect(await (await app.request("/catga")).text()).toBe("GET /catga ");
  expect((await app.request("/catgax")).status).toBe(404);
});
