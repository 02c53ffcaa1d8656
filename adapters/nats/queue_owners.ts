import { CatgaError } from "../../src/result.ts";
import { fromBase64 } from "../../src/internal/base64.ts";
import type { Link } from "./link.ts";
import { headers as newHeaders } from "@nats-io/nats-core";
import type { MadeStream } from "./streams.ts";
import { askApi, readJson, says, StreamCode, streamFault } from "./streams_api.ts";

/** What is known of a group by all: that it is there, and who looks after it. */
export interface GroupRecord {
  readonly topic: string;
  readonly group: string;
  /** Tells it from one of the same names that was there before. */
  readonly born: string;
  /** When it ends by itself, in ms without anybody; never if left out. */
  readonly idle?: number | undefined;
  /** Who looks after it; empty when nobody does. */
  readonly owner: string;
}

/** A record as it was read, with what the next write expects. */
export interface KeptRecord {
  readonly record: GroupRecord;
  readonly sequence: number;
  /** When it was written, in ms since 1970 by the server's clock. */
  readonly at: number;
}

/** The records of groups: one message each, changed by compare-and-set. */
export class GroupRecords {
  readonly #link: Link;
  readonly #stream: MadeStream;

  constructor(link: Link, stream: MadeStream) {
    this.#link = link;
    this.#stream = stream;
  }

  /** Tells the records of one stream from those of one that was made after it was lost. */
  async epoch(): Promise<string> {
    return await this.#stream.open();
  }

  async read(digest: string): Promise<KeptRecord | undefined> {
    for (let again = false;; again = true) {
      const name = await this.#stream.open();
      const answer = await askApi<{ message?: { seq: number; data?: string; time: string } }>(
        this.#link,
        `STREAM.MSG.GET.${name}`,
        { last_by_subj: this.#subject(digest) },
        [StreamCode.noMessage, ...(again ? [] : [StreamCode.noStream])],
      ).catch((thrown: unknown) => this.#unheard(thrown, again));
      if (answer === undefined || says(answer, StreamCode.noStream)) this.#stream.forget(name);
      else {
        if (answer.message === undefined) return undefined;
        const { seq, data = "", time } = answer.message;
        return { record: readJson(fromBase64(data)) as GroupRecord, sequence: seq, at: readTime(time) };
      }
    }
  }

  /** Whether a record is still the last one. */
  async isLast(digest: string, { sequence }: KeptRecord): Promise<boolean> {
    return (await this.read(digest))?.sequence === sequence;
  }

  /** Writes a record over the one of a sequence, 0 for none; `undefined` when another one is there. */
  async write(digest: string, record: GroupRecord, over: number): Promise<number | undefined> {
    const stream = await this.#stream.open();
    const headers = newHeaders();
    headers.set("Nats-Expected-Stream", stream);
    headers.set("Nats-Expected-Last-Subject-Sequence", `${over}`);
    const message = await this.#link.ask(this.#subject(digest), JSON.stringify(record), { headers });
    const answer = readJson(message.data) as { seq?: number; error?: { err_code?: number } };
    if (answer.error === undefined && answer.seq !== undefined) return answer.seq;
    if (says(answer, StreamCode.wrongSequence)) return undefined;
    throw streamFault(`write who looks after "${record.group}"`, answer.error ?? {});
  }

  /** Takes away just this record; whether it was still there. */
  async remove({ sequence }: KeptRecord): Promise<boolean> {
    const name = await this.#stream.open();
    const answer = await askApi<{ success?: boolean }>(
      this.#link,
      `STREAM.MSG.DELETE.${name}`,
      { seq: sequence, no_erase: true },
      [StreamCode.noMessage, 10043, 10057, StreamCode.noStream],
    );
    return answer.success === true;
  }

  #subject(digest: string): string {
    return `catga.${this.#link.name}.qo.${digest}`;
  }

  /** Nobody answers for the stream, though the server does: it may be gone. */
  #unheard(thrown: unknown, again: boolean): undefined {
    if (again || !this.#link.up || !CatgaError.is(thrown) || thrown.code !== "UNAVAILABLE") throw thrown;
    return undefined;
  }
}

/** RFC 3339 in ms since 1970, with what is behind the third digit. */
function readTime(text: string): number {
  const [, rest = ""] = /\.\d{3}(\d+)Z$/.exec(text) ?? [];
  return Date.parse(text) + Number(`0.${rest || 0}`);
}
