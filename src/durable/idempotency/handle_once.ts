import { failure, type Fault, faultOf, type Result, systemFault } from "../../result.ts";
import { within } from "../../internal/within.ts";
import type { MessageContext } from "../../mediator/context.ts";
import type { Step } from "../../mediator/types.ts";
import type { Codec } from "../../ports/codec.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Frame } from "../../ports/transport.ts";
import type { Claim } from "./claim.ts";
import { encodeAnswer, isAnswer, lostAnswer } from "./recorded.ts";
import type { Outcome } from "./turn.ts";

/** How long a handler keeps its claim after its caller has gone, in ms. */
const LINGER = 60_000;

/** What handling under a claim stands on. */
export interface HandleHost {
  readonly runtime: Runtime;
  readonly codec: Codec;
  /** How long the answer is kept, in ms. */
  readonly retention: number;
  /** The claim is over, though the handler is not. */
  lost(): void;
}

/** Handles a message under a claim and has its answer kept; `undefined` when another's is the one that counts. */
export async function handleOnce(
  claim: Claim,
  message: MessageContext,
  next: Step,
  host: HandleHost,
): Promise<Outcome | undefined> {
  const { runtime } = host;
  runtime.background(claim.keep(() => host.lost()));
  const result = await attempt(() => next(message));
  // A handler that outlives its call keeps its claim, and what it comes to is the answer.
  const still = message.stillHandled as Promise<Result<unknown, Fault>> | undefined;
  if (still === undefined) return await conclude(claim, message, result, host);
  const ended = attempt(() => still);
  const late = await within(runtime.clock, ended, LINGER);
  if (late !== undefined) return await conclude(claim, message, late, host);
  claim.abandon();
  tell(message, host, "idempotency.abandoned", "its handler does not end though its caller has gone");
  runtime.background(ended.then((result) => conclude(claim, message, result, host)));
  return { type: "gone" };
}

async function conclude(
  claim: Claim,
  message: MessageContext,
  result: Result<unknown, Fault>,
  host: HandleHost,
): Promise<Outcome | undefined> {
  const { contract: { type }, contract } = message;
  if (!isAnswer(contract, result)) {
    await claim.release();
    if (result.ok || message.cancelled !== undefined) return { type: "gone" };
    return { type: "failed", fault: result.error };
  }
  let frame: Frame = encodeAnswer(type, host.codec, result);
  let completion = await claim.complete(frame, host.retention);
  if (completion === "refused") {
    frame = lostAnswer(type, host.codec, `the store does not take its ${frame.length} characters or bytes`);
    completion = await claim.complete(frame, host.retention);
  }
  if (completion === "kept") return { type: "answered", frame };
  if (completion === "superseded") {
    tell(message, host, "idempotency.superseded", "its claim was over, and another has it");
    return undefined;
  }
  tell(message, host, "idempotency.unkept", "the store does not take it");
  const text = `"${type}" was handled, but its answer could not be kept`;
  return { type: "failed", fault: systemFault("TRANSPORT", text) };
}

async function attempt(work: () => Promise<Result<unknown, Fault>>): Promise<Result<unknown, Fault>> {
  try {
    return await work();
  } catch (thrown) {
    return failure(faultOf(thrown));
  }
}

function tell(
  { contract: { type }, id }: MessageContext,
  host: HandleHost,
  event: string,
  why: string,
): void {
  const message = `The answer to "${type}" is not kept just now: ${why}`;
  host.runtime.log({ level: "error", event, message, fields: { type, id } });
}
