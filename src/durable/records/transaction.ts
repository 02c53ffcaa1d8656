import { CatgaError, systemFault } from "../../result.ts";
import { checkTree } from "../../internal/safe_json.ts";
import type { Context } from "../../mediator/types.ts";
import { contractOf } from "../../message/contract.ts";
import type { Message } from "../../message/message.ts";
import { topicOfCommand } from "../command_group.ts";
import { checkPush } from "../../ports/queue_faults.ts";
import { json } from "../../wire/json.ts";
import { encodeParcel } from "../../wire/parcel.ts";
import type { PendingMessage } from "./record_entry.ts";

/** What accompanies a message that is told with a change. */
export interface TellOptions {
  /** Messages of one key are handled in their order. @default what the contract's `key` gives, else the record's */
  readonly key?: string | undefined;
  /** Travels with it, beside what the headers of the context say. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What a change tells others of, if it happens: to be used until the change returns, and not after. */
export interface Transaction {
  /** Tells an event, at least once and under one id, after the change was kept; never if it was not. */
  publish(event: Message<"reliable">, options?: TellOptions): void;
  /**
   * Asks for a command in the same way: it waits in the queue for a node that serves it, and nobody hears its answer. It
   * may come twice, so its contract needs `idempotency`.
   */
  enqueue(command: Message<"command">, options?: TellOptions): void;
}

/** The message because of which something is changed; the context of a handler is one. */
export type Cause = Pick<Context, "id"> & Partial<Pick<Context, "correlationId" | "headers" | "delivery">>;

/** Names what its sender means to be one; what comes of it is something else. */
const NOT_HANDED_ON = "idempotency-key";

interface Draft {
  readonly message: Message;
  readonly options: TellOptions;
}

/** Collects what one try of a change tells. */
export class Outgoing implements Transaction {
  readonly #drafts: Draft[] = [];
  readonly #cause: Cause | undefined;
  #closed = false;

  constructor(cause: Cause | undefined) {
    this.#cause = cause;
  }

  /** How many messages there are. */
  get size(): number {
    return this.#drafts.length;
  }

  publish(event: Message<"reliable">, options: TellOptions = {}): void {
    this.#take("publish", "reliable", event, options);
  }

  enqueue(command: Message<"command">, options: TellOptions = {}): void {
    if (contractOf(command)?.idempotency === undefined && command.kind === "command") {
      refuse(`enqueue "${command.type}"`, "it may come twice, so its contract needs idempotency");
    }
    this.#take("enqueue", "command", command, options);
  }

  /** Takes no more. */
  close(): void {
    this.#closed = true;
  }

  /**
   * The messages as they are kept. Throws `VALIDATION` for one that no queue would take.
   *
   * @param prefix what the ids begin with; a number follows
   * @param ownKey what keeps the order where neither the call nor the contract has a key
   */
  sealed(prefix: string, ownKey: string): PendingMessage[] {
    return this.#drafts.map(({ message, options }, at) => {
      const { type, body } = message;
      const id = prefix + at;
      const key = options.key ?? contractOf(message)?.key?.(body) ?? ownKey;
      const { id: causationId, correlationId = causationId ?? id, headers: inherited } = this.#cause ?? {};
      const headers = headersOf(inherited, options.headers);
      try {
        // As deep as it will be in the parcel.
        checkTree([[body]]);
        const parcel = { type, id, body, correlationId, causationId, headers };
        const payload = encodeParcel(json, parcel) as string;
        const topic = message.kind === "command" ? topicOfCommand(type) : type;
        checkPush(topic, [{ id, key, payload }]);
        return { id, topic, key, payload };
      } catch (thrown) {
        return refuse(`tell "${type}"`, (thrown as Error).message);
      }
    });
  }

  #take(verb: string, kind: string, message: Message, options: TellOptions): void {
    const what = `${verb} "${message.type}"`;
    if (this.#closed) refuse(what, "the change is over; it must not wait for anything");
    if (message.kind !== kind) refuse(what, `it is of the kind "${message.kind}", but must be "${kind}"`);
    this.#drafts.push({ message, options });
  }
}

function headersOf(
  inherited: Readonly<Record<string, string>> | undefined,
  own: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined {
  const passed = Object.entries(inherited ?? {}).filter(([name]) => name.toLowerCase() !== NOT_HANDED_ON);
  const headers = { ...Object.fromEntries(passed), ...own };
  return Object.keys(headers).length === 0 ? undefined : headers;
}

function refuse(what: string, why: string): never {
  throw new CatgaError(systemFault("VALIDATION", `Cannot ${what}: ${why}`));
}
