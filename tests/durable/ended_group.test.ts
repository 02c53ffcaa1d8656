/** What an operator does for a handler that is gone for good: what waits for it goes, and nobody else notices. */

import { expect, test } from "bun:test";
import { createMediator, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { memory, memoryStorage } from "@catga/catga/memory";
import { withStorage } from "@catga/catga/ports";

const Paid = reliableEvent("paid", { data: type<string>() });

test("a group that nobody serves any longer is ended by its name, with all that waits for it", async () => {
  const storage = memoryStorage();
  const { queue } = storage;
  const heard: string[] = [];
  const join = (node: string, ...names: string[]): Promise<Node> => {
    const handlers = names.map((name) => on(Paid, (text) => void heard.push(`${name} ${text}`), { name }));
    const app = createMediator({ handlers });
    const backend = withStorage(memory(), storage);
    return joinCluster(app, { node, endpoint: `memory:${node}`, backend, service: "books", unsafe: true });
  };
  const until = async (count: number): Promise<void> => {
    while (heard.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const before = await join("a", "turnover", "mail");
  await before.publish(Paid("1"));
  await until(2);
  await before.leave();

  const after = await join("b", "turnover");
  for (const text of ["2", "3"]) await after.publish(Paid(text));
  await until(4);
  expect((await queue.backlog("paid", "books/mail")).items).toBe(2);
  await queue.unsubscribe("paid", "books/mail");
  await expect(queue.backlog("paid", "books/mail")).rejects.toMatchObject({ code: "NO_HANDLER" });
  await after.publish(Paid("4"));
  await until(5);
  expect(heard.toSorted()).toEqual(["mail 1", "turnover 1", "turnover 2", "turnover 3", "turnover 4"]);
  await after.leave();
}, 30_000);
