import type { Link } from "./link.ts";
import type { GroupNames, QueueShared } from "./queue_shared.ts";
import { askApi, StreamCode } from "./streams_api.ts";

/** How a consumer of the server stands. */
export interface ConsumerState {
  readonly delivered: { readonly consumer_seq: number; readonly stream_seq: number };
  /** How many it has handed out that are not done with. */
  readonly num_ack_pending: number;
  /** How many it has not handed out. */
  readonly num_pending: number;
}

/** How much longer than its `idle` a group lasts that all members have left without a word, in ms. */
const GRACE = 30_000;

/** Begins a group on the server, or sees that it is as it shall be. */
export async function makeConsumer(
  { link, ackWait, items }: QueueShared,
  stream: string,
  { topic, group, digest: name, subject }: GroupNames,
  idle: number | undefined,
): Promise<ConsumerState> {
  const config = {
    durable_name: name,
    description: JSON.stringify([topic, group]),
    deliver_policy: "new",
    ack_policy: "explicit",
    ack_wait: ackWait * 1e6,
    max_ack_pending: -1,
    max_deliver: -1,
    filter_subject: subject,
    replay_policy: "instant",
    ...(idle === undefined ? {} : { inactive_threshold: Math.ceil(idle + GRACE + 2 * ackWait) * 1e6 }),
  };
  return await askApi<ConsumerState>(link, `CONSUMER.DURABLE.CREATE.${stream}.${name}`, {
    stream_name: stream,
    config,
  }).catch((thrown: unknown) => {
    // It may be gone: whoever asks again finds or makes it.
    if (link.up) items.forget(stream);
    throw thrown;
  });
}

export async function readConsumer(link: Link, stream: string, name: string): Promise<ConsumerState> {
  return await askApi<ConsumerState>(link, `CONSUMER.INFO.${stream}.${name}`);
}

/** Ends a group on the server, with all it had; does nothing where it is not. */
export async function deleteConsumer(link: Link, stream: string, name: string): Promise<void> {
  await askApi(link, `CONSUMER.DELETE.${stream}.${name}`, {}, [StreamCode.noConsumer, StreamCode.noStream]);
}

/** The place of the last item of a subject; 0 if there is none. */
export async function lastSequence(link: Link, stream: string, subject: string): Promise<number> {
  const { message } = await askApi<{ message?: { readonly seq: number } }>(
    link,
    `STREAM.MSG.GET.${stream}`,
    { last_by_subj: subject },
    [StreamCode.noMessage],
  );
  return message?.seq ?? 0;
}
