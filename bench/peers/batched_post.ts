/** The limit over HTTP: up to 64 requests that meet in a turn share one POST. No framework at either end. */
import { accept, type AskFor, type Order, type Receipt } from "../harness/order.ts";
import { serveText } from "../harness/serve.ts";

const MOST = 64;

export function serve(port: number): void {
  serveText(
    async (text) => JSON.stringify(await Promise.all((JSON.parse(text) as Order[]).map(accept))),
    port,
  );
}

interface Waiting {
  readonly order: Order;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

export async function connect(port: number): Promise<AskFor> {
  const post = await poster(`http://127.0.0.1:${port}`);
  let waiting: Waiting[] = [];
  const flush = (): void => {
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    post(JSON.stringify(batch.map(({ order }) => order)))
      .then((text) => {
        const receipts = JSON.parse(text) as Receipt[];
        for (let at = 0; at < batch.length; at++) {
          batch[at]!.resolve(receipts[at]!);
        }
      })
      .catch((error) => {
        for (const { reject } of batch) reject(error);
      });
  };
  return (order) =>
    new Promise((resolve, reject) => {
      waiting.push({ order, resolve, reject });
      if (waiting.length === 1) queueMicrotask(flush);
      else if (waiting.length === MOST) flush();
    });
}

/** The runtime's own client; on Node an undici Pool, which is several times faster there than `fetch`. */
async function poster(url: string): Promise<(body: string) => Promise<string>> {
  if ("Bun" in globalThis || "Deno" in globalThis) {
    return async (body) => (await fetch(url, { method: "POST", body })).text();
  }
  const { Pool } = await import("undici");
  const pool = new Pool(url);
  return async (body) => (await pool.request({ path: "/", method: "POST", body })).body.text();
}
