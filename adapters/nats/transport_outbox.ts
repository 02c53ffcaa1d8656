import type { Frame } from "../../src/ports/transport.ts";
import type { Link } from "./link.ts";
import { type Part, PartWriter } from "./transport_parts.ts";

/** What is left of a message for its subjects and headers, in bytes. */
const ROOM = 1024;
const LARGEST = 1024 * 1024;

/** How many microtasks without a part end a turn: an async function takes a few from its last reply to its end. */
const PATIENCE = 8;

/** How many parts do not wait for the end of the turn. */
const MOST = 4096;

/** Where parts go. */
export interface Way {
  readonly subject: string;
  /** Names the way back for a message with these parts. */
  readonly reply: ((parts: readonly Part[]) => string) | undefined;
  /** Its parts of this turn, which the outbox keeps here. */
  unsent: Part[] | undefined;
  /** They were not sent. */
  lost(parts: readonly Part[], why: unknown): void;
}

/** Sends the parts of one turn to one subject in one message, or as few as hold them. */
export class Outbox {
  readonly #link: Link;
  readonly #writer: PartWriter;
  #ways: Way[] = [];
  #count = 0;
  #idle = 0;
  #looking = false;

  constructor(link: Link) {
    this.#link = link;
    const { connection } = link;
    this.#writer = new PartWriter(() => Math.min(connection.info?.max_payload ?? LARGEST, LARGEST) - ROOM);
  }

  /** Sends a part with the others of this turn. */
  send(way: Way, kind: number, seq: number, payload: Frame = ""): void {
    const part: Part = { kind, seq, payload };
    if (way.unsent === undefined) {
      way.unsent = [part];
      this.#ways.push(way);
    } else way.unsent.push(part);
    this.#count++;
    this.#idle = 0;
    if (this.#count >= MOST) return this.flush();
    if (this.#looking) return;
    this.#looking = true;
    queueMicrotask(this.#look);
  }

  /** Waits as long as a few microtasks bring more: what comes alone loses a fraction of a microsecond by that. */
  readonly #look = (): void => {
    if (this.#count > 0 && this.#idle++ < PATIENCE) return queueMicrotask(this.#look);
    this.#looking = false;
    this.flush();
  };

  /** Sends what waits, at once. */
  flush(): void {
    if (this.#count === 0) return;
    const ways = this.#ways;
    this.#ways = [];
    this.#count = 0;
    const { connection, up } = this.#link;
    for (const way of ways) {
      const parts = way.unsent!;
      way.unsent = undefined;
      if (!up) {
        way.lost(parts, new Error("the server is not reached just now"));
        continue;
      }
      try {
        this.#writer.write(parts, (message, ended) => {
          if (way.reply === undefined) connection.publish(way.subject, message);
          else connection.publish(way.subject, message, { reply: way.reply(ended) });
        });
      } catch (thrown) {
        this.#writer.clear();
        way.lost(parts, thrown);
      }
    }
  }
}
