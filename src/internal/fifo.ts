/** How many places in front may be empty before they are given back. */
const EMPTY = 1024;

/** What comes in first goes out first. */
export class Fifo<T> {
  #places: (T | undefined)[] = [];
  #first = 0;

  get size(): number {
    return this.#places.length - this.#first;
  }

  push(value: T): void {
    this.#places.push(value);
  }

  /** The one that goes out next; `undefined` if there is none. */
  peek(): T | undefined {
    return this.#places[this.#first];
  }

  /** Takes the next one out; `undefined` if there is none. */
  shift(): T | undefined {
    const places = this.#places;
    if (this.#first === places.length) return undefined;
    const value = places[this.#first];
    places[this.#first++] = undefined;
    if (this.#first === places.length) {
      places.length = this.#first = 0;
    } else if (this.#first >= EMPTY && this.#first * 2 >= places.length) {
      this.#places = places.slice(this.#first);
      this.#first = 0;
    }
    return value;
  }
}
