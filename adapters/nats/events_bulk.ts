import { CatgaError, systemFault } from "../../src/result.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { type ApiError, apiFault, readJson } from "./events_faults.ts";
import type { KeptMessage } from "./events_format.ts";
import { type EventLog, readDelivered } from "./events_log.ts";
import { randomToken } from "./random_token.ts";

/** How many messages are asked for at a time, and how many bytes of them, unless one is larger. */
const BATCH = 1000;
const BYTES = 8 * 2 ** 20;
/** How long no message may come, in ms. */
const PATIENCE = 3000;
/** When the server forgets a consumer that nobody took away, in ns. */
const FORGOTTEN = 30e9;

/** What {@linkcode readBulk} reads. */
export interface BulkRange {
  /** The subject; all if left out. */
  readonly subject?: string | undefined;
  /** The first sequence. */
  readonly from: number;
  /** How many messages at most. */
  readonly most: number;
  /** Without their data. */
  readonly heads?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hands on messages in their order, without a request for each: by a consumer that is made for it.
 *
 * @param take answers whether it wants more
 */
export async function readBulk(
  log: EventLog,
  range: BulkRange,
  take: (message: KeptMessage) => boolean,
): Promise<void> {
  const { link, stream } = log;
  const { subject, from, most, heads = false, signal } = range;
  const config = {
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    ack_policy: "none",
    replay_policy: "instant",
    inactive_threshold: FORGOTTEN,
    mem_storage: true,
    num_replicas: 1,
    headers_only: heads,
    ...(subject === undefined ? {} : { filter_subject: subject }),
  };
  const request = JSON.stringify({ stream_name: stream.name, config });
  const answer = await link.ask(`$JS.API.CONSUMER.CREATE.${stream.name}`, request, { signal });
  const { name, error } = readJson<{ name?: string; error?: ApiError }>(answer, "read");
  if (name === undefined) throw apiFault("read", error);
  try {
    let count = 0;
    const takeNext = (message: KeptMessage, at: number): boolean => {
      if (at !== ++count) throw broken("the server left one out");
      return take(message) && count < most;
    };
    while (await pull(log, name, Math.min(most - count, BATCH), takeNext, signal));
  } finally {
    if (link.up) {
      link.runtime.background(
        link.ask(`$JS.API.CONSUMER.DELETE.${stream.name}.${name}`).then(() => {}, () => {}),
      );
    }
  }
}

/** Pulls once; answers whether to go on. */
function pull(
  { link, stream }: EventLog,
  consumer: string,
  batch: number,
  take: (message: KeptMessage, count: number) => boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { connection, runtime } = link;
  return new Promise((resolve, reject) => {
    let came = 0, seen = 0;
    const end = (settle: () => void): void => {
      stop();
      signal?.removeEventListener("abort", abort);
      subscription.unsubscribe();
      settle();
    };
    const fail = (error: unknown): void => end(() => reject(error));
    const abort = (): void => fail(storeCancelled("read events"));
    const look = (): void => {
      if (seen === came || !link.up) return fail(broken("they ceased to come"));
      seen = came;
      stop = runtime.clock.timer(PATIENCE, look);
    };
    let stop = runtime.clock.timer(PATIENCE, look);
    const inbox = `catga.${link.name}.r.${randomToken(runtime.random)}`;
    const subscription = connection.subscribe(inbox, {
      callback: (error, { reply, headers, data }) => {
        if (error !== null) return fail(broken(error.message));
        const code = headers?.code ?? 0;
        // 409: what comes next is larger than what is left of the bytes asked for.
        if (code === 404 || code === 408) return end(() => resolve(false));
        if (code === 409) return end(() => resolve(came > 0));
        try {
          const delivered = readDelivered(reply ?? "", headers, data);
          if (delivered === undefined) return;
          came++;
          if (!take(delivered.message, delivered.count)) end(() => resolve(false));
          else if (came === batch) end(() => resolve(true));
        } catch (thrown) {
          fail(thrown);
        }
      },
    });
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort, { once: true });
    const max_bytes = Math.max(BYTES, 2 * (connection.info?.max_payload ?? 0));
    const request = JSON.stringify({ batch, no_wait: true, max_bytes });
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream.name}.${consumer}`, request, { reply: inbox });
  });
}

function broken(why: string): CatgaError {
  return new CatgaError(systemFault("TRANSPORT", `Cannot read events to their end: ${why}`));
}
