/** The nodes of the example, one on each runtime, with one file for all of them. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mixed, type NodeProcess, withCluster } from "./cluster.ts";

/** Starts the nodes, and ends them and takes the file away when `use` is done. */
export async function withShop(use: (nodes: readonly NodeProcess[]) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "catga-orders-"));
  try {
    await withCluster(await mixed(), use, { env: () => ({ STORAGE: join(folder, "orders.db") }) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
