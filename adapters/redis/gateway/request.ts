import { Buffer, isAscii } from "node:buffer";
import { type Message, readMessage } from "../../../src/internal/read_body.ts";
import type { Words } from "./link.ts";

/** How much a gateway takes at once. */
export interface GatewayLimits {
  /** Bytes in the body of a request. @default 10485760 */
  readonly bytes: number;
  /** Commands in one request. @default 1000 */
  readonly commands: number;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A request that is none: its status and what is said about it. */
export class Unfit extends Error {
  override readonly name = "Unfit";
  readonly status: 400 | 405 | 413;

  constructor(status: 400 | 405 | 413, message: string) {
    super(message);
    this.status = status;
  }
}

/** The command in the body, as a list, or in the path: `/set/key` with the value as body and `?EX=5` behind it. */
export async function readCommand(request: Request, limits: GatewayLimits): Promise<Words> {
  const { pathname, searchParams } = new URL(request.url);
  const body = await bodyOf(request, limits.bytes);
  if (/^\/*$/.test(pathname)) return commandOf(parse(body));
  const words: (string | Buffer)[] = pathname.replace(/^\/+|\/+$/g, "").split("/").map(decoded);
  if (body.length > 0) words.push(body);
  for (const [name, value] of searchParams) {
    if (name === "_token") continue;
    words.push(name);
    if (value !== "") words.push(value);
  }
  return words;
}

/** The commands in the body, as a list of lists. */
export async function readCommands(request: Request, limits: GatewayLimits): Promise<readonly Words[]> {
  if (request.method !== "POST" && request.method !== "PUT") throw new Unfit(405, "ERR use POST");
  const list = parse(await bodyOf(request, limits.bytes));
  if (!Array.isArray(list) || list.length === 0) throw new Unfit(400, "ERR expected a list of commands");
  if (list.length > limits.commands) {
    throw new Unfit(413, `ERR more than ${limits.commands} commands at once`);
  }
  return list.map(commandOf);
}

async function bodyOf(request: Request, limit: number): Promise<Buffer> {
  const bytes = await readMessage(request as Message, limit);
  if (bytes === undefined) throw new Unfit(413, `ERR max request size exceeded: more than ${limit} bytes`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(isAscii(body) ? body.toString("latin1") : utf8.decode(body));
  } catch {
    throw new Unfit(400, "ERR failed to parse the command: the body is no JSON");
  }
}

function commandOf(list: unknown): Words {
  if (!Array.isArray(list) || list.length === 0) throw new Unfit(400, "ERR empty command");
  return list.map((word: unknown) => {
    if (typeof word === "string") return word;
    if (typeof word === "number" || typeof word === "boolean") return String(word);
    throw new Unfit(400, "ERR an argument is no text and no number");
  });
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Unfit(400, "ERR the path is not encoded as it should be");
  }
}
