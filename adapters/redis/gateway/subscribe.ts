import type { Clock } from "../../../src/ports/runtime.ts";
import type { RedisLink } from "./link.ts";

/** How much may wait for a slow reader, in characters, before it is dropped. */
const WAITING = 1_000_000;
/** How often a word is sent so that the way stays open, in ms. */
const BEAT = 15_000;

/**
 * What is told on channels, as server-sent events: `subscribe,name,1` for each, then `message,name,text`, or
 * `pmessage,pattern,name,text`.
 */
export async function subscription(
  link: RedisLink,
  clock: Clock,
  channels: readonly string[],
  patterns: boolean,
  ended: () => void,
): Promise<ReadableStream<Uint8Array>> {
  const utf8 = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let leave = (): void => {};
  let stop = (): void => {};
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    stop();
    leave();
    ended();
    controller?.close();
  };
  const stream = new ReadableStream<Uint8Array>({
    start: (given) => void (controller = given),
    cancel: () => {
      controller = undefined;
      end();
    },
  }, { highWaterMark: WAITING, size: (chunk) => chunk?.byteLength ?? 0 });
  const write = (text: string): void => {
    if (over) return;
    controller?.enqueue(utf8.encode(text));
    if ((controller?.desiredSize ?? 0) <= 0) end();
  };
  const tell = (text: string): void =>
    write(`${text.split(/\r\n|\r|\n/).map((line) => `data: ${line}`).join("\n")}\n\n`);
  const beat = (): void => {
    write(":\n\n");
    if (!over) stop = clock.timer(BEAT, beat);
  };
  leave = await link.subscribe(
    channels,
    patterns,
    (channel, message, pattern) =>
      tell(
        pattern === undefined ? `message,${channel},${message}` : `pmessage,${pattern},${channel},${message}`,
      ),
    end,
  ).catch((thrown) => {
    end();
    throw thrown;
  });
  if (over) leave();
  for (const [at, channel] of channels.entries()) {
    tell(`${patterns ? "p" : ""}subscribe,${channel},${at + 1}`);
  }
  stop = clock.timer(BEAT, beat);
  return stream;
}
