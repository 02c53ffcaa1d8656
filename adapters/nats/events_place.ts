import type { JetStreamLink, Link } from "./link.ts";

/** Where the events of a cluster are kept. */
export interface EventsPlace {
  /** Whose they are: subjects begin with `catga.<cluster>.e.`. */
  readonly cluster: string;
  /** What the server tells of what it has stored begins with this. */
  readonly news: string;
  /** The name of the stream. */
  readonly stream: string;
  /** What the stream must be like. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Where the events of a cluster are that are copied from another server. */
export interface EventsOrigin {
  /** The name of the cluster. */
  readonly cluster: string;
  /** The JetStream domain of its server, another than this one's: in one domain a copy would answer for the original. */
  readonly domain: string;
}

/** What holds for a cluster's own events. */
export function ownPlace({ name }: Link, { replicas }: JetStreamLink): EventsPlace {
  const republish = { src: `catga.${name}.e.>`, dest: `${newsOf(name)}.>`, headers_only: true };
  return {
    cluster: name,
    news: newsOf(name),
    stream: streamOf(name),
    settings: { subjects: [republish.src], republish, ...common(replicas) },
  };
}

/** What holds for the copy of another cluster's events. */
export function copyPlace(
  { name }: Link,
  { replicas }: JetStreamLink,
  { cluster, domain }: EventsOrigin,
): EventsPlace {
  const mirror = { name: streamOf(cluster), external: { api: `$JS.${domain}.API` } };
  return {
    cluster,
    // A copy tells of nothing. What is told over there is heard over here, if a little early.
    news: newsOf(cluster),
    stream: `${streamOf(name)}_OF_${cluster}`,
    settings: { mirror, mirror_direct: false, ...common(replicas) },
  };
}

function streamOf(cluster: string): string {
  return `CATGA_${cluster}_EVENTS`;
}

function newsOf(cluster: string): string {
  return `catga.${cluster}.et`;
}

function common(replicas: number): Readonly<Record<string, unknown>> {
  return {
    retention: "limits",
    storage: "file",
    num_replicas: replicas,
    // What there is no room for is refused; nothing that is there ever makes room.
    discard: "new",
    max_age: 0,
    max_msgs_per_subject: -1,
    allow_direct: true,
  };
}
