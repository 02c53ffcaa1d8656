import { CatgaError, systemFault } from "../../result.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Executor } from "./executor.ts";
import type { Found } from "./keep.ts";
import { sameJson } from "./same_json.ts";
import type { SagaDefinition } from "./saga.ts";
import { isDone, type SagaRecord } from "./saga_record.ts";
import { jsonOf, parsed } from "./settle_step.ts";

/** How many instances may be there that are not done. */
const LIVE = 50_000;
/** How many characters the key of an instance may have, and what it is begun with. */
const KEY = 200;
const BODY = 65_536;
/** How often it is tried while the store does not say what became of it. */
const TRIES = 3;

/** What an instance is begun with. */
export interface Beginning {
  readonly definition: SagaDefinition;
  readonly body: unknown;
  readonly key: string;
}

/** Begins an instance, unless it is there. It is announced before, so that it is found whenever its caller crashes. */
export async function beginSaga(
  executor: Executor,
  runtime: Runtime,
  { definition, body, key }: Beginning,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const { keep } = executor;
  const id = `${definition.contract.type}/${key}`;
  const kept = checked(id, key, body);
  for (let tries = 1;; tries++) {
    const found = await keep.find(id);
    if (found !== undefined) {
      await join(executor, id, kept, found);
      return { id, isNew: false };
    }
    if (executor.load.live >= LIVE) {
      throw new CatgaError(
        systemFault("OVERLOADED", `Cannot begin the saga "${id}": ${LIVE} are not done yet`),
      );
    }
    const revision = await put(executor, runtime, { definition, body: kept, key }, tries >= TRIES);
    if (revision === undefined && tries > TRIES) {
      throw new CatgaError(
        systemFault("CONFLICT", `Cannot begin the saga "${id}": what is kept there is no saga`),
      );
    }
    if (revision !== undefined) return { id, isNew: true };
  }
}

/** Writes it where there is nothing and runs it; `undefined` if it has to be looked at what is there. */
async function put(
  executor: Executor,
  runtime: Runtime,
  { definition: { contract: { type }, version }, body, key }: Beginning,
  isLast: boolean,
): Promise<number | undefined> {
  const id = `${type}/${key}`;
  const now = runtime.clock.wall();
  const by = executor.reserve(id);
  const kept = { type, version, ...(body === undefined ? {} : { body }), ...(by && { by }) };
  const record: SagaRecord = { ...kept, status: "running", journal: [], started: now, changed: now };
  try {
    await executor.keep.announce(id, record);
    const revision = await executor.keep.put(id, record, "absent");
    if (revision !== undefined) executor.begin(id, { record, revision });
    return revision;
  } catch (thrown) {
    if (isLast || !CatgaError.is(thrown) || thrown.code !== "TRANSPORT") throw thrown;
    return undefined;
  } finally {
    executor.release(id);
  }
}

/** It was begun before: by the same call, one that was sent again, or another that has the same key. */
async function join(executor: Executor, id: string, body: unknown, found: Found): Promise<void> {
  const { record } = found;
  if (!sameJson(record.body, body)) {
    const message = `Cannot begin the saga "${id}": one with that key was begun with another body`;
    throw new CatgaError(systemFault("CONFLICT", message));
  }
  if (isDone(record)) return;
  await executor.keep.announce(id, record);
  executor.begin(id, found);
}

function checked(id: string, key: string, body: unknown): unknown {
  const text = jsonOf(body);
  const fits = key.length >= 1 && key.length <= KEY && key.isWellFormed();
  if (fits && text !== undefined && text.length <= BODY) return parsed(text);
  const why = !fits
    ? `its key must have 1 to ${KEY} characters`
    : text === undefined
    ? "what it is begun with is no JSON"
    : `what it is begun with has ${text.length} characters, more than ${BODY}`;
  throw new CatgaError(systemFault("VALIDATION", `Cannot begin the saga "${id.slice(0, 400)}": ${why}`));
}
