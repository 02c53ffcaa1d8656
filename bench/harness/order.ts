// deno-lint-ignore-file require-await
/** What travels in the remote rows: 180 bytes of JSON there, 90 back. */
export interface Order {
  readonly id: number;
  readonly sku: string;
  readonly customer: string;
  readonly lines: readonly number[];
  readonly note: string;
}
export interface Receipt {
  readonly id: number;
  readonly status: string;
  readonly note: string;
}

const FIRST = 100_000;
const LAST = 999_999;

function padded<T extends { readonly note: string }>(value: T, size: number): T {
  return { ...value, note: "x".repeat(size - JSON.stringify(value).length) };
}

const order: Order = padded(
  { id: FIRST, sku: "sku-48151623", customer: "customer-0042", lines: [1, 20, 300, 4000], note: "" },
  180,
);
const receipt: Receipt = padded({ id: FIRST, status: "accepted", note: "" }, 90);

let id = FIRST;

/** A new order; its id has six digits, so its size is always the same. */
export function nextOrder(): Order {
  id = id === LAST ? FIRST : id + 1;
  return { id, sku: order.sku, customer: order.customer, lines: order.lines, note: order.note };
}

/** What every server's handler does. */
export async function accept(order: Order): Promise<Receipt> {
  return { id: order.id, status: receipt.status, note: receipt.note };
}

/** How a client process asks a server process. */
export interface Remote {
  /** Starts to answer on a port. */
  readonly serve: (port: number) => unknown;
  /** Connects to that port and answers the function that asks for one receipt. */
  readonly connect: (port: number) => AskFor | Promise<AskFor>;
}

export type AskFor = (order: Order) => Promise<Receipt>;
