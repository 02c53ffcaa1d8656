/** What a heap keeps in order. */
export interface Timed {
  /** When its time comes; changed only while it is in no heap. */
  time: number;
  /** Its place in the heap; -1 while it is in none. */
  place: number;
  /** Which goes first of two with one time: the lower one. */
  readonly sequence: number;
}

/** Those whose time comes first in front; any can be taken out. A binary heap whose members know their places. */
export class TimeHeap<T extends Timed> {
  readonly #heap: T[] = [];

  /** The one whose time comes next; `undefined` if there is none. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  add(member: T): void {
    this.#heap.push(member);
    this.#rise(member, this.#heap.length - 1);
  }

  /** Takes a member out; it must be in. */
  remove(member: T): void {
    const { place } = member;
    const last = this.#heap.pop()!;
    member.place = -1;
    if (last === member) return;
    if (place > 0 && isBefore(last, this.#heap[(place - 1) >> 1]!)) this.#rise(last, place);
    else this.#sink(last, place);
  }

  #rise(member: T, place: number): void {
    const heap = this.#heap;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above]!;
      if (!isBefore(member, parent)) break;
      heap[place] = parent;
      parent.place = place;
      place = above;
    }
    heap[place] = member;
    member.place = place;
  }

  #sink(member: T, place: number): void {
    const heap = this.#heap;
    const { length } = heap;
    for (let below = 2 * place + 1; below < length; below = 2 * place + 1) {
      if (below + 1 < length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      const child = heap[below]!;
      if (!isBefore(child, member)) break;
      heap[place] = child;
      child.place = place;
      place = below;
    }
    heap[place] = member;
    member.place = place;
  }
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.time < b.time || (a.time === b.time && a.sequence < b.sequence);
}
