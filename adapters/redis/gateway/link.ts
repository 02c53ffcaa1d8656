import type { Buffer } from "node:buffer";
import type { Format, RawReply } from "./answers.ts";

/** What a command was answered with: a reply or the error of Redis. */
export type Answered = { readonly reply: RawReply } | { readonly error: string };

/** A Redis, or a cluster of them, behind connections that are made again when they are lost. */
export interface RedisLink extends AsyncDisposable {
  /**
   * Sends commands, those to one server in their order. For JSON all that is answered comes as text, and else as it is.
   * Rejects with {@linkcode LinkLost} when an answer is missing.
   */
  send(commands: readonly Words[], format: Format): Promise<readonly Answered[]>;
  /** The same at one instant; answers a text when Redis takes none of them. */
  transact(commands: readonly Words[], format: Format): Promise<readonly Answered[] | string>;
  /** Hears what is told on channels, by a connection of its own; answers what ends that. */
  subscribe(
    channels: readonly string[],
    patterns: boolean,
    told: Told,
    lost: () => void,
  ): Promise<() => void>;
}

/** A command as texts and bytes. */
export type Words = readonly (string | Buffer)[];

/** Hears a message: the channel, what was told, and the pattern that fits. */
export type Told = (channel: string, message: Buffer, pattern: string | undefined) => void;

/** No answer came from Redis. */
export class LinkLost extends Error {
  override readonly name = "LinkLost";
  /** Whether Redis may have got any of the commands. */
  readonly sent: boolean;

  constructor(sent: boolean) {
    super("Redis did not answer");
    this.sent = sent;
  }
}
