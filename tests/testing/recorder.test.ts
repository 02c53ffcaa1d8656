/** The behavior that remembers. */

import { expect, test } from "bun:test";
import { command, createMediator, event, fail, handle, on, type } from "@catga/catga";
import { recorder } from "@catga/catga/testing";

const Half = command("half", {
  input: type<number>(),
  output: type<number>(),
  errors: { ODD: type<{ n: number }>() },
});
const Halved = event("halved", { data: type<number>() });

test("records messages and what came of them", async () => {
  const seen = recorder();
  const app = createMediator({
    handlers: [
      handle(Half, async (n, context) => {
        await context.publish(Halved(n));
        return n % 2 === 0 ? n / 2 : fail("ODD", { n });
      }),
      on(Halved, () => {}),
    ],
    behaviors: [seen],
  });
  const first = app.send(Half(4));
  expect(seen.of(Half)[0]!.result).toBe(undefined);
  await first;
  await app.send(Half(3));
  expect(seen.entries.map(({ type, kind, body }) => [type, kind, body])).toEqual([
    ["half", "command", 4],
    ["halved", "event", 4],
    ["half", "command", 3],
    ["halved", "event", 3],
  ]);
  const [four, three] = seen.of(Half);
  expect(four!.result).toMatchObject({ ok: true, value: 2 });
  expect(three!.result).toMatchObject({ ok: false, error: { code: "ODD", data: { n: 3 } } });
  expect(four!.id).not.toBe(three!.id);
  seen.clear();
  expect(seen.entries).toEqual([]);
});

test("keeps as many as it is told to", async () => {
  const seen = recorder({ limit: 2 });
  const app = createMediator({ handlers: [handle(Half, (n) => n / 2)], behaviors: [seen] });
  for (const n of [2, 4, 6]) await app.send(Half(n));
  expect(seen.entries.map(({ body }) => body)).toEqual([4, 6]);
});
