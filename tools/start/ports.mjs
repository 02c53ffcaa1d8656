// Which ports the nodes get, and whether they can have them.
import { createServer } from "node:net";

const host = "127.0.0.1";

/** The ports of a list such as "5001,5002,5003"; any free ones for "0". */
export async function wantedPorts(text, count) {
  if (text === "0") return await freePorts(count);
  const ports = text.split(",").map(Number);
  const fit = ports.length === count &&
    ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536);
  if (!fit || new Set(ports).size < count) {
    throw new Error(
      `CATGA_PORTS is "${text}", but must be "0" or ${count} different ports such as 5001,5002,5003`,
    );
  }
  return ports;
}

/** Throws if something listens on one of them. */
export async function refuseTaken(ports) {
  for (const port of ports) {
    const server = await listen(port).catch((error) => {
      if (error.code !== "EADDRINUSE") throw error;
      throw new Error(
        `port ${port} is taken. Stop what listens there, or choose others: CATGA_PORTS=6001,6002,6003`,
      );
    });
    await closed(server);
  }
}

/** Below those that systems give to outgoing connections, so that a process which is away for a moment finds its own still free. */
export async function freePorts(count) {
  const ports = new Set();
  while (ports.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    const server = await listen(port).catch(() => undefined);
    if (server === undefined) continue;
    await closed(server);
    ports.add(port);
  }
  return [...ports];
}

function listen(port) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}

function closed(server) {
  return new Promise((resolve) => server.close(resolve));
}
