import type { Frame } from "../../src/ports/transport.ts";
import { BYTES_TYPE, FRAMES, type Framing, lines, sized, TEXT_TYPE, WHOLE } from "./frames.ts";
import { AUTH, type Seal, Sealer } from "./seal.ts";

const WHOLE_TEXT: ResponseInit = { headers: { "content-type": TEXT_TYPE, [FRAMES]: WHOLE } };
const WHOLE_BYTES: ResponseInit = { headers: { "content-type": BYTES_TYPE, [FRAMES]: WHOLE } };
const NOTHING: ResponseInit = { status: 204, headers: { [FRAMES]: WHOLE } };

/** An answer all of which is there. Throws for frames of both kinds. */
export function wholeAnswer(frames: readonly Frame[]): Response {
  const frame = frames[0];
  if (frame === undefined) return new Response(null, NOTHING);
  if (frames.length > 1) return severalFrames(frames);
  return new Response(frame as BodyInit, typeof frame === "string" ? WHOLE_TEXT : WHOLE_BYTES);
}

/** The same, signed: one frame as a whole, several one by one. */
export async function signedAnswer(frames: readonly Frame[], seal: Seal): Promise<Response> {
  const frame = frames[0];
  if (frames.length > 1) {
    const framing = framingOf(frame!);
    for (const each of frames) framing.check(each);
    const sealer = new Sealer(seal);
    const sealed = await Promise.all(frames.map((each) => sealer.next(each)));
    return severalFrames([...sealed, await sealer.last(frame!)]);
  }
  const status = frame === undefined ? 204 : 200;
  const mac = await seal.whole(status, frame);
  const type = typeof frame === "string" ? TEXT_TYPE : BYTES_TYPE;
  const headers: Record<string, string> = { [FRAMES]: WHOLE, [AUTH]: mac };
  if (frame !== undefined) headers["content-type"] = type;
  return new Response((frame ?? null) as BodyInit | null, { status, headers });
}

/** How frames of this kind become a stream. */
export function framingOf(frame: Frame): Framing {
  return typeof frame === "string" ? lines : sized;
}

/** What an answer that is a stream says of itself. */
export function streamed(framing: Framing): ResponseInit {
  return { headers: { "content-type": framing.type, [FRAMES]: framing.name } };
}

function severalFrames(frames: readonly Frame[]): Response {
  const framing = framingOf(frames[0]!);
  const parts = [...frames.map((frame) => framing.frame(frame)), framing.mark(false)];
  return new Response(new Blob(parts as BlobPart[]), streamed(framing));
}
