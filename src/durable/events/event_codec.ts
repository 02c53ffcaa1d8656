import { CatgaError, systemFault } from "../../result.ts";
import { type Checked, isTrusted, type Schema } from "../../schema.ts";
import type { NewEvent, StoredEvent } from "../../ports/event_store.ts";
import { parseJson } from "../../internal/safe_json.ts";
import { isThenable } from "../../internal/thenable.ts";
import type { EventTypes, Recorded, SourcedEvent, Upcast } from "./event_types.ts";

/** What stands beside an event. */
export interface EventMeta {
  /** The version of its data, if it is not the first. */
  readonly v?: number;
  readonly cause?: string;
  readonly correlation?: string;
  /** A fingerprint of the command that decided it. */
  readonly command?: string;
  /** The execution that appended it, where it is the first event that a message caused. */
  readonly run?: string;
  readonly meta?: Readonly<Record<string, string>>;
}

/** An event that is to be appended, and how it will be read. */
export interface EncodedEvent {
  readonly event: NewEvent;
  readonly read: SourcedEvent;
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});
/** Nothing. */
export const NO_META: EventMeta = Object.freeze({});
/** What a text has that has to be looked at closely: names that reach a prototype, however they are spelt. */
const SUSPECT = /__proto__|constructor|\\u/;
/** From how many characters on a text may be nested or branched beyond measure. */
const LARGE = 1024;

interface KnownType {
  readonly name: string;
  readonly schema: Schema;
  readonly upcasts: readonly Upcast[];
}

/** Writes and reads the events of one kind of stream. */
export class EventCodec {
  readonly #kind: string;
  readonly #types: Map<string, KnownType> = new Map();

  /** Throws a `RangeError` for types that contradict each other. */
  constructor(kind: string, types: EventTypes) {
    if (!/^[\w.:-]{1,100}$/.test(kind)) {
      throw new RangeError(
        `Cannot name streams "${kind}": it needs 1 to 100 of letters, digits and _ . : -`,
      );
    }
    this.#kind = kind;
    for (const [name, type] of Object.entries(types)) {
      const { schema, upcasts, formerly } = "~standard" in type
        ? { schema: type, upcasts: [], formerly: [] }
        : type;
      for (const each of [name, ...formerly]) {
        if (this.#types.has(each)) throw new RangeError(`Cannot read "${each}": two types have this name`);
        this.#types.set(each, { name, schema, upcasts });
      }
    }
  }

  /** The name of an entity's stream. Throws `VALIDATION` for none. */
  streamOf(entity: string): string {
    if (entity === "") {
      throw new CatgaError(
        systemFault("VALIDATION", `Cannot name a stream of "${this.#kind}": it has no entity`),
      );
    }
    return `${this.#kind}/${entity}`;
  }

  /** Whether a stream is of this kind. */
  owns(stream: string): boolean {
    return stream.startsWith(`${this.#kind}/`);
  }

  /** A promise only where its schema needs one. Fails with `VALIDATION` for what could not be read again. */
  encode(id: string, { type, data }: SourcedEvent, meta: EventMeta): EncodedEvent | Promise<EncodedEvent> {
    const known = this.#types.get(type);
    if (known?.name !== type) throw unfit(type, "no type of event has this name");
    try {
      const written = JSON.stringify(data) ?? "";
      const text = metaText(meta, known.upcasts.length + 1);
      const event: NewEvent = text === undefined
        ? { id, type, data: written }
        : { id, type, data: written, meta: text };
      const checked = checkedData(known, parsed(written));
      if (!isThenable(checked)) return { event, read: { type, data: checked } };
      return Promise.resolve(checked).then(
        (data) => ({ event, read: { type, data } }),
        (thrown) => Promise.reject(unfit(type, reasonOf(thrown), thrown)),
      );
    } catch (thrown) {
      throw unfit(type, reasonOf(thrown), thrown);
    }
  }

  /**
   * Reads an event; a promise only where its schema needs one. Fails with `SERIALIZATION`, with what is wrong and
   * where, for what nobody may pass over: another type, data that do not fit, a version of a newer program.
   */
  decode(stored: StoredEvent): Recorded | Promise<Recorded> {
    try {
      const known = this.#types.get(stored.type);
      if (known === undefined) throw new Error("no type of event has this name");
      const meta = stored.meta === undefined ? NO_META : metaOf(stored);
      const { v = 1 } = meta;
      if (!(Number.isInteger(v) && v >= 1 && v <= known.upcasts.length + 1)) {
        throw new Error(`its data have version ${v}, this program knows up to ${known.upcasts.length + 1}`);
      }
      let data = parsed(stored.data);
      for (let from = v; from <= known.upcasts.length; from++) data = known.upcasts[from - 1]!(data);
      const checked = checkedData(known, data);
      if (!isThenable(checked)) return this.#recorded(stored, known, meta, checked);
      return Promise.resolve(checked).then(
        (data) => this.#recorded(stored, known, meta, data),
        (thrown) => Promise.reject(unreadable(stored, thrown)),
      );
    } catch (thrown) {
      throw unreadable(stored, thrown);
    }
  }

  #recorded(stored: StoredEvent, { name }: KnownType, meta: EventMeta, data: unknown): Recorded {
    return {
      type: name,
      data,
      id: stored.id,
      stream: stored.stream,
      entity: stored.stream.slice(this.#kind.length + 1),
      version: stored.version,
      position: stored.position,
      at: stored.at,
      cause: meta.cause,
      correlation: meta.correlation,
      meta: meta.meta ?? NONE,
    };
  }
}

/** What stands beside an event. Throws for what was not written by an {@linkcode EventCodec}. */
export function metaOf({ meta }: StoredEvent): EventMeta {
  const found = meta === undefined ? {} : parseJson(meta);
  if (typeof found !== "object" || found === null) throw new Error("what stands beside it is no object");
  return found;
}

/** The text of what stands beside an event of a version; `undefined` for nothing. */
function metaText(meta: EventMeta, version: number): string | undefined {
  if (version === 1 && meta === NO_META) return undefined;
  const text = JSON.stringify(version === 1 ? meta : { v: version, ...meta });
  return text === "{}" ? undefined : text;
}

function parsed(text: string): unknown {
  if (text === "") return undefined;
  return text.length > LARGE || SUSPECT.test(text) ? parseJson(text) : JSON.parse(text);
}

function checkedData({ schema }: KnownType, data: unknown): unknown {
  if (isTrusted(schema)) return data;
  const checked = schema["~standard"].validate(data);
  return isThenable(checked) ? Promise.resolve(checked).then(valueOf) : valueOf(checked);
}

function valueOf(checked: Checked<unknown>): unknown {
  if (checked.issues === undefined) return checked.value;
  const [issue] = checked.issues;
  const path = (issue?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part));
  const where = path.length === 0 ? "its data" : path.join(".");
  throw new Error(`${where}: ${issue?.message ?? "does not fit the schema"}`);
}

function unfit(type: string, why: string, cause?: unknown): CatgaError {
  return new CatgaError(systemFault("VALIDATION", `Cannot append "${type}": ${why}`, { type }, cause));
}

function unreadable({ type, stream, version, position }: StoredEvent, cause: unknown): CatgaError {
  const message = `Cannot read event ${version} of "${stream}", "${type}": ${reasonOf(cause)}`;
  return new CatgaError(
    systemFault("SERIALIZATION", message, { type, stream, version, position }, cause),
  );
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
