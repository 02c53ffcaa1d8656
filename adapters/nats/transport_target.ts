import type { OpenExchange } from "./transport_exchange.ts";
import type { Way } from "./transport_outbox.ts";
import { CALL_BYTES, CALL_TEXT, JOINED, type Part } from "./transport_parts.ts";

/** A node that calls are sent to. */
export class CallTarget implements Way {
  readonly subject: string;
  /** Names it in reply subjects. */
  readonly number: number;
  readonly open: Set<OpenExchange> = new Set();
  unsent: Part[] | undefined = undefined;
  readonly #inbox: string;

  constructor(subject: string, inbox: string, number: number) {
    this.subject = subject;
    this.number = number;
    this.#inbox = inbox;
  }

  /** Says which calls a message has, so that a server's word that nobody is there is understood. */
  readonly reply = (parts: readonly Part[]): string => {
    let first: number | undefined;
    let last = 0;
    for (const { kind, seq } of parts) {
      if (!isCall(kind)) continue;
      first ??= seq;
      last = seq;
    }
    const base = `${this.#inbox}.${this.number.toString(36)}`;
    return first === undefined ? base : `${base}-${first.toString(36)}-${last.toString(36)}`;
  };

  lost(parts: readonly Part[], why: unknown): void {
    const sent = new Set(parts.filter(({ kind }) => isCall(kind)).map(({ seq }) => seq));
    const reason = why instanceof Error ? why.message : String(why);
    for (const exchange of [...this.open]) {
      if (sent.has(exchange.seq)) exchange.fail("UNAVAILABLE", reason, false, why);
    }
  }
}

function isCall(kind: number): boolean {
  return (kind & ~JOINED) === CALL_TEXT || (kind & ~JOINED) === CALL_BYTES;
}
