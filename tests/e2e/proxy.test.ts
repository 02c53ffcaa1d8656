import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { pause, until } from "./cluster.ts";
import { Link } from "./proxy.ts";

let echo: Server;
let link: Link;
/** What the server has heard. */
let said = "";
const sockets = new Set<Socket>();

beforeEach(async () => {
  said = "";
  echo = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("data", (bytes) => {
      said += new TextDecoder().decode(bytes);
      socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  link = await Link.to((echo.address() as AddressInfo).port);
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await link[Symbol.asyncDispose]();
  await new Promise((resolve) => echo.close(resolve));
});

/** A connection through the link. */
function dial(): { readonly socket: Socket; heard: string; end: string | undefined } {
  const socket = connect(Number(new URL(link.url).port), "127.0.0.1");
  sockets.add(socket);
  const line = { socket, heard: "", end: undefined as string | undefined };
  socket.on("data", (bytes) => line.heard += new TextDecoder().decode(bytes));
  socket.on("error", (error: Error & { readonly code?: string }) => line.end ??= error.code ?? "error");
  socket.on("close", () => line.end ??= "closed");
  return line;
}

describe("a link", () => {
  test("passes on what both sides say", async () => {
    const line = dial();
    line.socket.write("one");
    await until("an echo", () => line.heard === "one");
    line.socket.write("two");
    await until("another", () => line.heard === "onetwo");
  });

  test("holds what is said while it is silent, on old connections and new ones", async () => {
    const old = dial();
    old.socket.write("one");
    await until("an echo", () => old.heard === "one");
    await link.set("silent");
    const fresh = dial();
    old.socket.write("two");
    fresh.socket.write("three");
    await pause(100);
    expect([old.heard, fresh.heard]).toEqual(["one", ""]);
    expect([old.end, fresh.end]).toEqual([undefined, undefined]);
    expect(said).toBe("one");
    await link.set("open");
    await until("what was held", () => old.heard === "onetwo" && fresh.heard === "three");
  });

  test("holds answers alone", async () => {
    await link.set("unanswered");
    const line = dial();
    line.socket.write("one");
    await until("it was heard", () => said === "one");
    await pause(100);
    expect(line.heard).toBe("");
    await link.set("open");
    await until("the answer", () => line.heard === "one");
  });

  test("breaks old connections and refuses new ones until it is open again", async () => {
    const old = dial();
    old.socket.write("one");
    await until("an echo", () => old.heard === "one");
    await link.set("refused");
    await until("its end", () => old.end !== undefined);
    const fresh = dial();
    await until("a refusal", () => fresh.end !== undefined);
    expect(fresh.end).toBe("ECONNREFUSED");
    await link.set("open");
    const again = dial();
    again.socket.write("two");
    await until("an echo", () => again.heard === "two");
  });
});
