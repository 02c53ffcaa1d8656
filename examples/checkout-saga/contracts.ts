/** What the three services and the shop can be asked. */
import { command, query, type } from "@catga/catga";
import type { SagaState } from "@catga/catga/durable";

export interface Order {
  readonly order: string;
  readonly sku: string;
  readonly amount: number;
}

const errors = { REFUSED: type<{ readonly by: string; readonly why: string }>() };
const taking = {
  input: type<Order>(),
  output: type<{ readonly receipt: string }>(),
  errors,
  idempotency: {},
};
const givingBack = { input: type<{ readonly receipt: string }>(), output: type<void>(), idempotency: {} };

export const Reserve = command("stock.reserve", taking);
export const Release = command("stock.release", givingBack);
export const Charge = command("payment.charge", taking);
export const Refund = command("payment.refund", givingBack);
export const Ship = command("shipping.ship", taking);
export const Recall = command("shipping.recall", givingBack);

/** Buys something. It may be sent again, to any node: under one key there is one order. */
export const Checkout = command("shop.checkout", {
  input: type<Order>(),
  output: type<{ readonly parcel: string }>(),
  errors,
  idempotent: true,
  timeout: 60_000,
});

/** How an order stands. */
export const HowIs = query("shop.how-is", {
  input: type<{ readonly order: string }>(),
  output: type<SagaState | undefined>(),
});
