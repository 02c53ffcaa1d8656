/** What must compile and what must not; the checks are the compiler's. */

import { expect, test } from "bun:test";
import { command, type Fault, query, type Result, type SystemFault, type } from "@catga/catga";
import { type Client, route } from "@catga/catga/client";
import { contracts, type table } from "../hono/shop.ts";

const { CreateOrder, GetOrder, Count } = contracts;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
function same<A, B>(..._: Same<A, B> extends true ? [] : ["not the same"]): void {}

test("a client is typed by its table", () => {
  const check = (client: Client<typeof table>): void => {
    const order = client.send(CreateOrder({ sku: "p1", quantity: 1 }));
    type Answer = Awaited<typeof order>;
    same<Extract<Answer, { ok: true }>["value"], { id: string }>();
    type Codes = Extract<Answer, { ok: false }>["error"]["code"];
    same<Codes, "OUT_OF_STOCK" | "LOCKED" | SystemFault["code"]>();
    same<typeof order extends Promise<Result<unknown, Fault>> ? true : false, true>();

    const numbers = client.stream(Count({ to: "3" }));
    same<typeof numbers, AsyncIterable<number>>();

    // @ts-expect-error a wrong body
    void client.send(CreateOrder({ sku: 1, quantity: 1 }));
    // @ts-expect-error a stream is not sent
    void client.send(Count({ to: "3" }));
    // @ts-expect-error a command is not published
    void client.publish(CreateOrder({ sku: "p1", quantity: 1 }));
    // @ts-expect-error a command is not streamed
    void client.stream(CreateOrder({ sku: "p1", quantity: 1 }));
    const Foreign = command("foreign", { input: type<{ id: string }>(), output: type<string>() });
    // @ts-expect-error a contract that the table does not have
    void client.send(Foreign({ id: "1" }));
  };
  expect(typeof check).toBe("function");
});

test("a route's path and query string must fit the contract", () => {
  const Page = query("page", { input: type<{ at: number }>(), output: type<string>() });
  const Rename = command("rename", { input: type<{ id: number; name: string }>(), output: type<void>() });
  const check = (): void => {
    route("GET /orders/:id", GetOrder);
    route("POST /pages", Page);
    route("GET /pages", Page, { body: ({ query }) => ({ at: Number(query["at"]) }) });
    // @ts-expect-error a query string has no numbers
    route("GET /pages", Page);
    // @ts-expect-error nor has a path
    route("PUT /orders/:id", Rename);
    // @ts-expect-error the input has no such field
    route("GET /orders/:order", GetOrder);
    // @ts-expect-error a body that is not the input
    route("GET /pages", Page, { body: () => ({ at: "1" }) });
    // @ts-expect-error not a code of the contract
    route("POST /orders", CreateOrder, { statuses: { OUT_OF_STOK: 422 } });
    // @ts-expect-error not a method
    route("TRACE /orders", CreateOrder);
  };
  expect(typeof check).toBe("function");
});
