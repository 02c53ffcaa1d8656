/** A product before the first order. */
export interface Article {
  /** In cents. */
  readonly price: number;
  readonly stock: number;
}

/** What the shop sells. */
export const catalog: ReadonlyMap<string, Article> = new Map([
  ["product-123", { price: 1999, stock: 100_000 }],
  ["product-456", { price: 500, stock: 40 }],
  ["product-999", { price: 99_900, stock: 20 }],
]);
