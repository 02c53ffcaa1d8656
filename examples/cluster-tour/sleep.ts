export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether something comes true before so many ms are over. */
export async function comesTrue(
  holds: () => boolean | Promise<boolean>,
  limit: number = 5000,
): Promise<boolean> {
  const end = performance.now() + limit;
  while (!await holds()) {
    if (performance.now() > end) return false;
    await sleep(10);
  }
  return true;
}
