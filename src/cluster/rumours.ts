/** News about one node that goes from node to node; the wire form is made once. */
export interface Rumour {
  readonly about: string;
  readonly item: readonly unknown[];
}

interface Told extends Rumour {
  /** How often it was passed on. */
  times: number;
}

/**
 * News that a node passes on with what it sends anyway, each a number of times that grows with the logarithm of the
 * cluster, the freshest first (dissemination of SWIM, Das, Gupta and Motivala 2002). Of one node only the last word
 * is kept, so there are never more than nodes.
 */
export class Rumours {
  readonly #news: Map<string, Told> = new Map();

  /** Takes the place of what was said of the same node before. */
  add(rumour: Rumour): void {
    this.#news.delete(rumour.about);
    this.#news.set(rumour.about, { ...rumour, times: 0 });
  }

  /** The next few, for one frame. */
  take(count: number, nodes: number): readonly (readonly unknown[])[] {
    if (this.#news.size === 0) return [];
    const often = 3 * Math.ceil(Math.log2(nodes + 1));
    const next = [...this.#news.values()].sort((a, b) => a.times - b.times).slice(0, count);
    for (const told of next) {
      if (++told.times >= often) this.#news.delete(told.about);
    }
    return next.map((told) => told.item);
  }
}
