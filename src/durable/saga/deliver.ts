import { CatgaError, systemFault } from "../../result.ts";
import type { Publishable } from "../../message/message.ts";
import type { Entry, ListOptions } from "../../ports/store.ts";
import { pages } from "../pages.ts";
import type { SagaKeep } from "./keep.ts";
import { fitsJson } from "./same_json.ts";
import { isDone, readRecord, UNTIL, type UntilMark } from "./saga_record.ts";
import { jsonOf, parsed } from "./settle_step.ts";

/** How many characters an event may have that an instance is given. */
const LONGEST = 65_536;

/** Gives an event to all instances that wait for it. Answers how many they are; it may be given again, by its id. */
export async function deliverEvent(keep: SagaKeep, event: Publishable, id: string): Promise<number> {
  const text = jsonOf(event.body);
  if (text === undefined || text.length > LONGEST) {
    const found = text === undefined ? "is no JSON" : `has ${text.length} characters, more than ${LONGEST}`;
    throw new CatgaError(
      systemFault("VALIDATION", `Cannot deliver "${event.type}" to sagas: its body ${found}`),
    );
  }
  const body = parsed(text);
  const list = (page: ListOptions): Promise<readonly Entry[]> =>
    keep.ask((store, signal) => store.list(`${UNTIL}${event.type}/`, { ...page, signal }));
  let given = 0;
  for await (const entries of pages(list)) {
    for (const entry of entries) {
      const mark = readRecord<UntilMark>(entry);
      if (mark === undefined || !fitsJson(body, mark.match)) continue;
      if (await give(keep, entry, { id, body })) given++;
    }
  }
  return given;
}

async function give(keep: SagaKeep, entry: Entry, event: NonNullable<UntilMark["event"]>): Promise<boolean> {
  const { key } = entry;
  for (let found: Entry | undefined = entry; found !== undefined;) {
    const { revision } = found;
    const mark = readRecord<UntilMark>(found);
    if (mark === undefined) return false;
    // It has this one already, or another that came before.
    if (mark.event !== undefined) return mark.event.id === event.id;
    const waiting = await keep.find(mark.id);
    if (waiting === undefined || isDone(waiting.record)) {
      // A write that came late has left it behind.
      await keep.ask((store, signal) => store.delete(key, { expected: revision, signal })).catch(() => {});
      return false;
    }
    const value = JSON.stringify({ ...mark, event });
    try {
      await keep.ask((store, signal) => store.put(key, value, { expected: revision, signal }));
      return true;
    } catch (thrown) {
      if (!CatgaError.is(thrown) || thrown.code !== "CONFLICT") throw thrown;
      found = await keep.ask((store, signal) => store.get(key, { signal }));
    }
  }
  return false;
}
