import { ErrorReply } from "@redis/client";
import type { Runtime } from "../../../src/ports/runtime.ts";
import { CatgaError, systemFault } from "../../../src/result.ts";
import type { RawReply } from "./answers.ts";
import { type Answered, LinkLost, type Words } from "./link.ts";

/** Errors of the client for what never left it. */
const UNSENT: ReadonlySet<string> = new Set(["ClientOfflineError", "ClientClosedError"]);

/** The part of a client that connecting needs. */
interface Connecting {
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
}

/** Connects a client and does what has to be done first, or rejects with `UNAVAILABLE`. */
export async function connected(
  client: Connecting,
  runtime: Runtime,
  timeout: number,
  first?: () => Promise<void>,
): Promise<void> {
  let stop = (): void => {};
  const late = new Promise<never>((_, reject) => {
    stop = runtime.clock.timer(timeout, () => reject(new LinkLost(false)));
  });
  try {
    await Promise.race([client.connect().then(first), late]);
  } catch {
    if (client.isOpen) client.destroy();
    // What the client says quotes the address, with a password.
    const message = `Cannot reach Redis in ${timeout} ms. Check that it runs, its address and its password`;
    throw new CatgaError(systemFault("UNAVAILABLE", message));
  } finally {
    stop();
  }
}

/** Logs once that a connection was lost, until {@linkcode LossLog.found}. */
export interface LossLog {
  lost(): void;
  found(): void;
}

/** Logs that Redis is away, once each time. */
export function lossLog(runtime: Runtime): LossLog {
  let down = false;
  return {
    lost: () => {
      if (down) return;
      down = true;
      const message = "The gateway lost its connection to Redis, and looks for it";
      runtime.log({ level: "warn", event: "redis.gateway.lost", message });
    },
    found: () => void (down = false),
  };
}

/** What was answered; rejects with {@linkcode LinkLost} if an answer is missing. */
export async function settled(sent: readonly Promise<RawReply>[]): Promise<Answered[]> {
  const lost: LinkLost[] = [];
  const refused = (thrown: unknown): Answered => {
    if (thrown instanceof ErrorReply) return { error: thrown.message };
    lost.push(lostBy(thrown));
    return { reply: null };
  };
  const answers = await Promise.all(sent.map((each) => each.then(replied, refused)));
  // What was answered says nothing about the others.
  if (lost.length > 0) throw new LinkLost(lost.length < answers.length || lost.some(({ sent }) => sent));
  return answers;
}

/** The part of a client that sending needs. */
interface Sending {
  sendCommand(words: string[], options?: object): Promise<unknown>;
}

/** Does commands at one instant by a connection. Rejects with an error of Redis when it takes none of them. */
export async function transacted(
  client: Sending,
  commands: readonly Words[],
  options?: object,
): Promise<Answered[]> {
  const all = [["MULTI"], ...commands, ["EXEC"]] as string[][];
  const answers = await settled(all.map((words) => client.sendCommand(words, options) as Promise<RawReply>));
  for (const each of answers) if ("error" in each) throw new ErrorReply(each.error);
  const { reply } = answers.at(-1) as { readonly reply: readonly RawReply[] };
  return reply.map((each) => each instanceof Error ? { error: each.message } : { reply: each });
}

/** What something answers, or the text of the error of Redis that it rejects with. */
export async function orRefused<T>(work: Promise<T>): Promise<T | string> {
  return await work.catch((thrown) => {
    if (thrown instanceof ErrorReply) return thrown.message;
    throw thrown instanceof LinkLost ? thrown : lostBy(thrown);
  });
}

/** Why there is no answer. */
export function lostBy(thrown: unknown): LinkLost {
  return new LinkLost(!(thrown instanceof Error && UNSENT.has(thrown.constructor.name)));
}

function replied(reply: RawReply): Answered {
  return { reply };
}
