import type { Entry, ListOptions } from "../ports/store.ts";

/** How many entries are asked for at a time where nothing else is said. */
const PAGE = 1000;

/**
 * The entries of a list, page by page; the next one is asked for when it is wanted.
 *
 * @param list asks a store for one page
 * @param after begins behind this key
 * @param limit how many there are on a page
 */
export async function* pages(
  list: (page: ListOptions) => Promise<readonly Entry[]>,
  after?: string,
  limit: number = PAGE,
): AsyncGenerator<readonly Entry[], void, undefined> {
  for (let last = after;;) {
    const page = await list({ limit, after: last });
    if (page.length > 0) yield page;
    if (page.length < limit) return;
    last = page.at(-1)!.key;
  }
}
