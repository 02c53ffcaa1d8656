import type { LogLevel } from "../../src/ports/runtime.ts";
import type { Acks } from "./acks.ts";
import type { Link } from "./link.ts";
import type { DoneItems } from "./queue_done.ts";
import type { GroupRecords, KeptRecord } from "./queue_owners.ts";
import type { MadeStream } from "./streams.ts";

/** What all groups of one queue work with. */
export interface QueueShared {
  readonly link: Link;
  readonly acks: Acks;
  readonly records: GroupRecords;
  /** The stream of the items. */
  readonly items: MadeStream;
  /** This process among the members. */
  readonly self: string;
  /** How long the server waits for a word about what it has handed out, in ms. */
  readonly ackWait: number;
  /** How many items of a group its owner keeps at most, and how large all of them may be, in bytes. */
  readonly heldItems: number;
  readonly heldBytes: number;
  log(level: LogLevel, event: string, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** A group, and by which names it goes on the server. */
export interface GroupNames {
  readonly topic: string;
  readonly group: string;
  /** Its record's and its consumer's. */
  readonly digest: string;
  /** That of its items. */
  readonly subject: string;
}

/** What a reign begins with. */
export interface ReignStart {
  readonly names: GroupNames;
  /** A record that names this process. */
  readonly kept: KeptRecord;
  readonly done: DoneItems;
  /** What is to be added to the server's time to have the monotonic one. */
  readonly offset: number;
}

/** Somebody else looks after the group, or nobody: it has to be found again. */
export class Moved extends Error {
  override readonly name = "Moved";
}
