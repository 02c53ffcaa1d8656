/**
 * A shop whose carts are what has happened to them, kept in one SQLite file. It tells what it does, ends as a process
 * would that is stopped, opens the file again and goes on. It ends with 0 if everything went as promised.
 *
 *     bun examples/event-sourced-cart/main.ts [file]
 *     deno run -A examples/event-sourced-cart/main.ts [file]
 *     node examples/event-sourced-cart/main.ts [file]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { unwrap } from "@catga/catga";
import { processRuntime } from "@catga/catga/serve";
import { sqlite } from "@catga/catga/sqlite";
import { AddItem, CheckOut, GetCart, RemoveItem } from "./contracts.ts";
import { openShop, type Shop } from "./shop.ts";

const runtime = processRuntime();
const [given] = process.argv.slice(2);
const folder = given === undefined ? mkdtempSync(join(tmpdir(), "catga-cart-")) : undefined;
const file = given ?? join(folder!, "shop.db");
const cart = `cart-${crypto.randomUUID().slice(0, 8)}`;
const patient = { timeout: 30_000 };
let broken = 0;

/** What this step shows, and whether it did. */
function promise(what: string, kept: boolean): void {
  console.log(`   ${kept ? "✓" : "✗"} ${what}`);
  if (!kept) broken++;
}

/** Opens the file, and the shop on it, for as long as something is done. */
async function withShop(
  title: string,
  work: (shop: Shop, bills: readonly string[]) => Promise<void>,
): Promise<void> {
  console.log(`\n${title}`);
  const storage = await sqlite(file);
  const bills: string[] = [];
  const shop = openShop({ ...storage, runtime, bill: (cart, total) => void bills.push(`${cart}: ${total}`) });
  try {
    await work(shop, bills);
  } finally {
    await shop[Symbol.asyncDispose]();
    await storage[Symbol.asyncDispose]();
  }
}

console.log(`A shop in ${file}`);
try {
  await withShop("Things are put into a cart", async ({ app, wanted }) => {
    const before = await wanted.get("tea") ?? 0;
    unwrap(await app.send(AddItem({ cart, sku: "tea", quantity: 2, price: 4 })));
    unwrap(await app.send(AddItem({ cart, sku: "nuts", quantity: 1, price: 3 })));
    const { total, position } = unwrap(await app.send(AddItem({ cart, sku: "tea", quantity: 1, price: 4 })));
    promise("three teas and nuts are 15", total === 15);
    const refused = await app.send(RemoveItem({ cart, sku: "salt" }));
    promise("what is not in it cannot be removed", !refused.ok && refused.error.code === "NOT_IN_CART");
    await wanted.reached(position, patient);
    promise("the read model has counted three teas more", await wanted.get("tea") === before + 3);
  });

  await withShop("The shop is closed and opened again", async (shop, bills) => {
    const { app } = shop;
    promise("the cart is as it was", unwrap(await app.send(GetCart({ cart }))).total === 15);
    unwrap(await app.send(RemoveItem({ cart, sku: "nuts" })));
    const out = unwrap(await app.send(CheckOut({ cart })));
    promise("it is checked out for 12", out.checkedOut && out.total === 12);
    const late = await app.send(AddItem({ cart, sku: "salt", quantity: 1, price: 1 }));
    promise("and takes nothing any more", !late.ok && late.error.code === "CHECKED_OUT");
    await shop.bills.reached(out.position, patient);
    promise("its bill was written", bills.join() === `${cart}: 12`);
  });

  await withShop("And once more, to look back", async (shop, bills) => {
    for await (const { version, type, data } of shop.history(cart)) {
      console.log(`   ${version}  ${type}  ${JSON.stringify(data)}`);
    }
    const early = unwrap(await shop.app.send(GetCart({ cart, version: 2 })));
    promise("at version 2 it had two teas and nuts", early.total === 11 && early.version === 2);
    const counted = await shop.wanted.get("tea");
    await shop.wanted.rebuild();
    const { head } = await shop.wanted.lag();
    promise("the read model is made anew", await shop.wanted.reached(head, patient));
    promise("and counts the same", await shop.wanted.get("tea") === counted);
    promise("no bill was written again", await shop.bills.reached(head, patient) && bills.length === 0);
  });
} catch (thrown) {
  promise(`it did not come to an end: ${thrown instanceof Error ? thrown.message : thrown}`, false);
} finally {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}
console.log(broken === 0 ? "\nAll as promised" : `\nNot as promised: ${broken}`);
process.exit(broken === 0 ? 0 : 1);
