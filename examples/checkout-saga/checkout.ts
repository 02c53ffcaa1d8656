import { saga, type SagaDefinition } from "@catga/catga/durable";
import { Charge, Checkout, Recall, Refund, Release, Reserve, Ship } from "./contracts.ts";

/** How long the goods are packed, in ms. */
const PACKING = 1200;
/** How long one try of a step may take, in ms, and how often it is tried while its service is away. */
const patience = { timeout: 2000, attempts: 10 };

/** Stock, payment and shipping, one after the other. What was done is undone when one of them refuses or stays away. */
export const checkout: SagaDefinition = saga(Checkout, async (order, saga) => {
  await saga.step("reserve", Reserve(order), { undo: ({ receipt }) => Release({ receipt }), ...patience });
  await saga.step("charge", Charge(order), { undo: ({ receipt }) => Refund({ receipt }), ...patience });
  await saga.sleep("pack", PACKING);
  const shipped = await saga.step("ship", Ship(order), {
    undo: ({ receipt }) => Recall({ receipt }),
    ...patience,
  });
  return { parcel: shipped.receipt };
});
