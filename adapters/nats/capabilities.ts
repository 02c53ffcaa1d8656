/** What servers of some versions can do and others cannot. */
export interface Capabilities {
  /** What the server says it is, such as `2.10.27`. */
  readonly version: string;
  /** Its messages can be read without its API, and it tells what it has stored: 2.9. */
  readonly directGet: boolean;
  /**
   * Of two that expect the same last message of a subject one wins, also where several servers keep it: 2.10.19. Before
   * 2.9.21 both did (nats-server 4320), and until 2.10.19 two that expected none (5794).
   */
  readonly replicatedCas: boolean;
  /** A consumer takes a list of filters: 2.10. */
  readonly filterSubjects: boolean;
  /** `term` may say why: 2.10; older ones hand the message out again. */
  readonly termReason: boolean;
  /** Streams and consumers have metadata, and may be compressed: 2.10. */
  readonly metadata: boolean;
  /** Many messages are read by one request: 2.11. */
  readonly batchGet: boolean;
  /** Each message may have a time to live: 2.11; older ones drop the setting. */
  readonly messageTtl: boolean;
  /** Consumers can be paused: 2.11. */
  readonly consumerPause: boolean;
  /** Several messages are stored together or not at all: 2.12; older ones drop the setting. */
  readonly atomicBatch: boolean;
  /** The server keeps a message back until it is due: 2.12; older ones drop the setting. */
  readonly schedules: boolean;
}

type Version = readonly [major: number, minor: number, patch?: number];

/** From which version on. */
const SINCE: Readonly<Record<Exclude<keyof Capabilities, "version">, Version>> = {
  directGet: [2, 9],
  replicatedCas: [2, 10, 19],
  filterSubjects: [2, 10],
  termReason: [2, 10],
  metadata: [2, 10],
  batchGet: [2, 11],
  messageTtl: [2, 11],
  consumerPause: [2, 11],
  atomicBatch: [2, 12],
  schedules: [2, 12],
};

/** What a server can do by the version it tells; nothing where that cannot be read. */
export function capabilitiesOf(version: string): Capabilities {
  const told = (/^v?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [0, 0, 0, 0]).slice(1).map(Number);
  const can = (since: Version): boolean => {
    const at = since.findIndex((part, at) => part !== told[at]);
    return at < 0 || told[at]! > since[at]!;
  };
  const flags = Object.entries(SINCE).map(([name, since]) => [name, can(since)]);
  return { version, ...Object.fromEntries(flags) };
}

/**
 * The settings of a stream that a server did not take: it drops those that it does not know without a word, so the
 * answer tells more than its version.
 *
 * @param wanted what was asked for
 * @param kept what the server says it has
 */
export function droppedSettings(wanted: object, kept: object): readonly string[] {
  const has = kept as Readonly<Record<string, unknown>>;
  return Object.entries(wanted).flatMap(([name, value]) => isKept(value, has[name]) ? [] : [name]);
}

function isKept(wanted: unknown, kept: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(kept) && wanted.length === kept.length &&
      wanted.every((value, at) => isKept(value, kept[at]));
  }
  if (typeof wanted === "object" && wanted !== null) {
    return typeof kept === "object" && kept !== null && droppedSettings(wanted, kept).length === 0;
  }
  return Object.is(wanted, kept) ||
    (kept === undefined && (wanted === false || wanted === 0 || wanted === ""));
}
