import { fail, handle, type Module } from "@catga/catga";
import { type Records, records, type RecordsOptions } from "@catga/catga/durable";
import { catalog } from "./catalog.ts";
import { ChangePrice, GetProduct, GetStock } from "./contracts.ts";
import type { Stock } from "./stock.ts";

/** Prices that were changed, in cents. */
export type Prices = Records<number>;

/** Opens the prices that all nodes share. */
export function openPrices(keeping: RecordsOptions<number>): Prices {
  return records<number>("prices", keeping);
}

/** What a product costs just now; `undefined` for what the shop does not sell. */
export async function priceOf(prices: Prices, productId: string): Promise<number | undefined> {
  const product = catalog.get(productId);
  return product && (await prices.get(productId) ?? product.price);
}

/** Serves the products. */
export function products(prices: Prices, stock: Stock, say: (text: string) => void): Module {
  return [
    handle(GetProduct, async ({ productId }) => {
      const price = await priceOf(prices, productId);
      say(`read ${productId} from Redis`);
      return price === undefined ? fail("PRODUCT_NOT_FOUND", { productId }) : { productId, price };
    }),
    handle(ChangePrice, async ({ productId, price }) => {
      if (!catalog.has(productId)) return fail("PRODUCT_NOT_FOUND", { productId });
      await prices.update(productId, () => price);
      say(`${productId} now costs ${price}`);
      return { productId, price };
    }),
    handle(GetStock, async ({ productId }) => {
      const left = await stock.left(productId);
      return left === undefined ? fail("PRODUCT_NOT_FOUND", { productId }) : { productId, left };
    }),
  ];
}
