import { ErrorReply } from "@redis/client";
import type { Runtime } from "../../../src/ports/runtime.ts";
import { CatgaError, systemFault } from "../../../src/result.ts";
import type { RawReply } from "./answers.ts";
import { type Answered, LinkLost } from "./link.ts";

/** Errors of the client for what never left it. */
const UNSENT: ReadonlySet<string> = new Set(["ClientOfflineError", "ClientClosedError"]);

/** The part of a client that connecting needs. */
interface Connecting {
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
}

/** Connects a client, or rejects with `UNAVAILABLE`. */
export async function connected(client: Connecting, runtime: Runtime, timeout: number): Promise<void> {
  let stop = (): void => {};
  const late = new Promise<never>((_, reject) => {
    stop = runtime.clock.timer(timeout, () => reject(new LinkLost(false)));
  });
  try {
    await Promise.race([client.connect(), late]);
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
  const results = await Promise.allSettled(sent);
  const lost = results.flatMap((result) =>
    result.status === "rejected" && !(result.reason instanceof ErrorReply) ? [lostBy(result.reason)] : []
  );
  // What was answered says nothing about the others.
  if (lost.length > 0) throw new LinkLost(lost.length < results.length || lost.some(({ sent }) => sent));
  return results.map((result) =>
    result.status === "fulfilled" ? { reply: result.value } : { error: (result.reason as ErrorReply).message }
  );
}

/** What a transaction answers: the reply to each command, or why none was taken. */
export async function transacted(exec: Promise<unknown>): Promise<readonly Answered[] | string> {
  try {
    return (await exec as RawReply[]).map((reply) => ({ reply }));
  } catch (thrown) {
    const { replies } = thrown as { replies?: readonly (RawReply | ErrorReply)[] };
    if (Array.isArray(replies)) return replies.map(answeredOf);
    if (thrown instanceof ErrorReply) return thrown.message;
    throw lostBy(thrown);
  }
}

/** Why there is no answer. */
export function lostBy(thrown: unknown): LinkLost {
  return new LinkLost(!(thrown instanceof Error && UNSENT.has(thrown.constructor.name)));
}

function answeredOf(reply: RawReply | ErrorReply): Answered {
  return reply instanceof ErrorReply ? { error: reply.message } : { reply };
}
