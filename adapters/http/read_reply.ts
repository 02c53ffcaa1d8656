import { endBody } from "../../src/internal/end_body.ts";
import { type Message, readMessage } from "../../src/internal/read_body.ts";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import type { FetchReply } from "../../src/ports/runtime.ts";
import type { Frame, Peer, Reply } from "../../src/ports/transport.ts";
import { FRAMES, LINES, lines, SIZED, sized, TEXT_TYPE, WHOLE } from "./frames.ts";
import { AUTH, isSealed, type Seal, SEAL_SIZE, Unsealer } from "./seal.ts";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Hands on the frames of an answer: of a whole one by a single read, of a stream as they come. Holds at most `limit`
 * bytes of either at once. With a seal only what is signed is handed on. Rejects with a `CatgaError` with `TRANSPORT`,
 * or as the answer's body does.
 */
export async function readReply(
  answer: FetchReply & Message,
  reply: Reply,
  limit: number,
  to: Peer,
  seal: Seal | undefined,
): Promise<void> {
  const { headers } = answer;
  const form = headers.get(FRAMES);
  const coding = headers.get("content-encoding");
  if (coding !== null && coding !== "identity") throw dropped(answer, to, "the answer is compressed");
  if (form === LINES || form === SIZED) return await readStream(answer, form, reply, limit, to, seal);
  if (form !== WHOLE) throw dropped(answer, to, "what answers there is no node");
  // Its text() would leave out a byte order mark.
  const bytes = await readMessage(answer, limit);
  if (bytes === undefined) throw failure("TRANSPORT", to, "the answer is over the limit");
  const frame: Frame = headers.get("content-type")?.startsWith(TEXT_TYPE) === true
    ? utf8.decode(bytes)
    : bytes;
  if (seal !== undefined && !await isSealed(seal, headers.get(AUTH), 200, frame)) throw forged(to);
  const wait = reply(frame);
  if (wait !== undefined) await wait;
}

async function readStream(
  answer: FetchReply,
  form: string,
  reply: Reply,
  limit: number,
  to: Peer,
  seal: Seal | undefined,
): Promise<void> {
  const unsealer = seal === undefined ? undefined : new Unsealer(seal);
  const parse = (form === LINES ? lines : sized).parser(seal === undefined ? limit : limit + SEAL_SIZE);
  const parts = answer.body?.[Symbol.asyncIterator]();
  let whole = false;
  try {
    for (
      let part = await parts?.next();
      part !== undefined && part.done !== true;
      part = await parts!.next()
    ) {
      const { frames, end } = parse(part.value);
      for (const frame of frames) {
        const opened = unsealer === undefined ? { frame } : await unsealer.take(frame);
        if (opened === "forged") throw forged(to);
        const wait = opened === undefined ? undefined : reply(opened.frame);
        if (wait !== undefined) await wait;
      }
      whole = end === "done";
      if (whole && unsealer?.ended === false) throw forged(to);
      if (whole) return;
      if (end === "failed") throw failure("TRANSPORT", to, "its receiver failed while it answered");
      if (end === "malformed") throw failure("TRANSPORT", to, "its answer is malformed or over the limit");
    }
  } finally {
    // Reading to the very end keeps the connection for the next exchange; anything else gives it up.
    if (whole) void readOut(parts!).catch(() => {});
    else void parts?.return?.().catch(() => {});
  }
  throw failure("TRANSPORT", to, "its answer ended early");
}

function forged(to: Peer): CatgaError {
  return failure(
    "TRANSPORT",
    to,
    "its answer, or a part of it, is not signed by a node with the same secret",
  );
}

async function readOut(parts: AsyncIterator<Uint8Array>): Promise<void> {
  const { done } = await parts.next();
  if (done !== true) await parts.return?.();
}

/** Gives up on an answer, and gives its connection back. */
export function dropped(
  answer: FetchReply,
  to: Peer,
  why: string,
  code: SystemCode = "TRANSPORT",
  data?: unknown,
): CatgaError {
  endBody(answer.body);
  return failure(code, to, why, undefined, data);
}

/** The error of an exchange that did not come off. */
export function failure(
  code: SystemCode,
  to: Peer,
  why: string,
  cause?: unknown,
  data?: unknown,
): CatgaError {
  return new CatgaError(
    systemFault(code, `Cannot reach node "${to.id}" at ${to.endpoint}: ${why}`, data, cause),
  );
}
