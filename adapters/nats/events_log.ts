import { headers as newHeaders, type Msg, type MsgHdrs } from "@nats-io/nats-core";
import { faultOf } from "../../src/result.ts";
import { fromBase64 } from "../../src/internal/base64.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { encodeToken } from "./names.ts";
import type { JetStreamLink, Link } from "./link.ts";
import { type ApiError, apiFault, NO_MESSAGE, readJson, WRONG_SEQUENCE } from "./events_faults.ts";
import { type AppendHead, decodeHead, encodeHead, HEAD, type KeptMessage } from "./events_format.ts";
import type { EventsPlace } from "./events_place.ts";
import { EventStream } from "./events_stream.ts";

/** How long the server may take for an answer, in ms. */
const TIMEOUT = 3000;

/** What to get: a message by its sequence, the last one of a subject, or the first from a sequence on. */
type GetRequest =
  | { readonly seq: number }
  | { readonly last_by_subj: string }
  | { readonly seq: number; readonly next_by_subj: string };

/** The messages of the events' stream, one by one. */
export class EventLog {
  readonly link: Link;
  readonly place: EventsPlace;
  readonly stream: EventStream;
  readonly #direct: boolean;

  constructor(link: Link, { replicas }: JetStreamLink, place: EventsPlace) {
    this.link = link;
    this.place = place;
    this.stream = new EventStream(link, place);
    // Of several servers some may lag behind, and any of them answers what is asked directly.
    this.#direct = replicas === 1 && capabilitiesOf(link.connection.info?.version ?? "").directGet;
  }

  /** The subject of a stream of events: its name, or its digest where that is too long. */
  async subjectOf(stream: string): Promise<string> {
    const token = encodeToken(stream);
    const begin = `catga.${this.place.cluster}.e`;
    if (token !== undefined) return `${begin}.n.${token}`;
    return `${begin}.d.${await this.link.runtime.crypto.hash(stream)}`;
  }

  /** Appends a message if its subject is as its head says; answers its sequence, `undefined` if it is not. */
  async publish(
    subject: string,
    head: AppendHead,
    content: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const headers = newHeaders();
    // Not the stream's name as well: servers before 2.11 would refuse to copy the message into any other stream.
    headers.set("Nats-Expected-Last-Subject-Sequence", String(head.before));
    headers.set(HEAD, encodeHead(head));
    const what = "append";
    const answer = await this.#asking(
      signal,
      () => this.link.ask(subject, content, { headers, signal, timeout: TIMEOUT }),
    );
    const { seq, error } = readJson<{ seq?: number; error?: ApiError }>(answer, what);
    if (WRONG_SEQUENCE.has(error?.err_code)) return undefined;
    if (error !== undefined || !Number.isSafeInteger(seq) || seq! < 1) throw apiFault(what, error);
    return seq!;
  }

  /** The last message of a subject, or of all. */
  last(subject: string | undefined, signal: AbortSignal | undefined): Promise<KeptMessage | undefined> {
    return this.#get({ last_by_subj: subject ?? ">" }, signal);
  }

  /** The message of a sequence; `undefined` if there is none. */
  at(seq: number, signal: AbortSignal | undefined): Promise<KeptMessage | undefined> {
    return this.#get({ seq }, signal);
  }

  /** The first message from a sequence on. */
  next(seq: number, signal: AbortSignal | undefined): Promise<KeptMessage | undefined> {
    return this.#get({ seq, next_by_subj: ">" }, signal);
  }

  async #get(request: GetRequest, signal: AbortSignal | undefined): Promise<KeptMessage | undefined> {
    const way = this.#direct ? "DIRECT.GET" : "STREAM.MSG.GET";
    const answer = await this.#asking(
      signal,
      () =>
        this.link.ask(`$JS.API.${way}.${this.stream.name}`, JSON.stringify(request), {
          signal,
          timeout: TIMEOUT,
        }),
    );
    return this.#direct ? readDirect(answer) : readMessage(answer);
  }

  /** Asks once the stream is there, and once more when it turns out that it is not. */
  async #asking<T>(signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
    await this.stream.ready(signal);
    try {
      return await ask();
    } catch (thrown) {
      if (faultOf(thrown).code !== "UNAVAILABLE" || !this.link.up) throw thrown;
      this.stream.doubt();
      await this.stream.ready(signal);
      return await ask();
    }
  }
}

function readDirect({ data, headers }: Msg): KeptMessage | undefined {
  if (headers === undefined || headers.code === 404) return undefined;
  if (headers.code !== 0) {
    throw apiFault("read", { code: headers.code, description: headers.description });
  }
  return keptMessage(headers.get("Nats-Sequence"), headers.get("Nats-Time-Stamp"), headers.get(HEAD), data);
}

function readMessage(answer: Msg): KeptMessage | undefined {
  const { message, error } = readJson<{ message?: ApiMessage; error?: ApiError }>(answer, "read");
  if (error?.err_code === NO_MESSAGE) return undefined;
  if (message === undefined) throw apiFault("read", error);
  const lines = new TextDecoder().decode(fromBase64(message.hdrs ?? "")).split("\r\n");
  const head = lines.find((line) => line.startsWith(`${HEAD}: `))?.slice(HEAD.length + 2);
  return keptMessage(message.seq, message.time, head, fromBase64(message.data ?? ""));
}

interface ApiMessage {
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
  readonly time: string;
}

function keptMessage(
  sequence: string | number,
  time: string,
  head: string | undefined,
  data: Uint8Array,
): KeptMessage {
  const seq = Number(sequence);
  return { seq, at: millisOf(time), head: decodeHead(head, seq), data };
}

/** Reads what a consumer has handed out: its reply subject says which message it is. */
export function readDelivered(
  reply: string,
  headers: MsgHdrs | undefined,
  data: Uint8Array,
): { readonly count: number; readonly message: KeptMessage } | undefined {
  // $JS.ACK.[domain.account.]stream.consumer.deliveries.sequence.count.time.pending[.random]
  const parts = reply.split(".");
  const at = parts.length < 11 ? 5 : 7;
  const seq = Number(parts[at]), count = Number(parts[at + 1]), nanos = parts[at + 2] ?? "";
  if (parts[1] !== "ACK" || !Number.isSafeInteger(seq)) return undefined;
  const head = decodeHead(headers?.get(HEAD), seq);
  return { count, message: { seq, at: Number(nanos.slice(0, -6)), head, data } };
}

/** A time like `2026-11-21T16:48:08.124554965Z` in whole ms. */
function millisOf(time: string): number {
  const [, seconds = time, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return Date.parse(`${seconds}Z`) + Number(fraction.padEnd(3, "0").slice(0, 3));
}
