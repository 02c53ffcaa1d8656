import { expect, test } from "bun:test";
import { processRuntime } from "@catga/catga/serve";

test("a process tells how busy it is", async () => {
  const { usage } = processRuntime();
  usage!();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const idle = usage!();
  let busy = idle;
  // Others may have the machine for a while.
  for (let tries = 0; tries < 50 && (busy.cpu ?? 0) <= 0.3; tries++) {
    const end = performance.now() + 60;
    while (performance.now() < end);
    busy = usage!();
  }
  expect(busy.cpu).toBeGreaterThan(0.3);
  expect(busy.cpu).toBeLessThanOrEqual(1);
  expect(idle.cpu).toBeGreaterThanOrEqual(0);
  expect(busy.memory).toBeGreaterThan(0);
  expect(busy.memory).toBeLessThanOrEqual(1);
});
