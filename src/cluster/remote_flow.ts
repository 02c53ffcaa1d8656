import { CatgaError, type Fault, faultOf, systemFault } from "../result.ts";
import { contractOf } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { RouteCall, Router } from "../message/route.ts";
import { cancelledFault, timeoutFault } from "../mediator/supervise.ts";
import { encodeMessage, type WireMessage } from "../wire/envelope.ts";
import type { Origin } from "../mediator/context.ts";
import { signalsOf, wireOf } from "./outgoing.ts";
import type { Link } from "./link.ts";
import { RemoteStream } from "./remote_stream.ts";
import type { Target } from "./target.ts";
import type { Peer } from "../ports/transport.ts";

/** How long a stream may say nothing at all, in ms; a living one gives a sign three times as often. */
const SILENCE = 30_000;

/** What a remote stream is asked with. */
export interface FlowPlan {
  readonly message: WireMessage;
  /** By the runtime's `clock.mono()`, in ms. */
  readonly deadline: number;
  readonly router: Router;
  readonly route: RouteCall;
  readonly signals: readonly AbortSignal[];
}

/** What a stream is asked with. Throws what the contract's `key` throws. */
export function planOf(
  message: Message,
  origin: Origin,
  router: Router,
  node: { turn(): number; readonly zone: string | undefined },
): FlowPlan {
  const contract = contractOf(message);
  const timeout = contract?.timeout === undefined ? Infinity : node.turn() + contract.timeout;
  return {
    message: wireOf(message, origin, origin.id),
    deadline: Math.min(timeout, origin.deadline),
    router: origin.route ?? contract?.route ?? router,
    route: { type: message.type, key: contract?.key?.(message.body), zone: node.zone },
    signals: signalsOf(origin),
  };
}

/** What a remote stream needs of its node. */
export interface FlowCaller {
  readonly link: Link;
  readonly attempts: number;
  pick(router: Router, call: RouteCall, tried: ReadonlySet<string>): Target | undefined;
  /** The values of this node's own handler. */
  own(): AsyncIterable<unknown>;
  nobody(type: string): Fault;
}

/** The values of a stream, from whichever node starts it. Once it has begun it is not moved. */
export async function* flowFrom(
  caller: FlowCaller,
  plan: FlowPlan,
): AsyncGenerator<unknown, void, undefined> {
  const tried = new Set<string>();
  let last: Fault | undefined;
  while (tried.size < caller.attempts) {
    const member = caller.pick(plan.router, plan.route, tried);
    if (member === undefined) break;
    tried.add(member.id);
    if (member.local) return yield* caller.own();
    const stream = new RemoteStream(caller.link);
    try {
      return yield* read(caller.link, member, stream, plan);
    } catch (thrown) {
      last = faultOf(thrown);
      const unstarted = stream.unstarted || (!stream.begun && last.code === "UNAVAILABLE");
      if (!unstarted) throw thrown;
    }
  }
  throw new CatgaError(last ?? caller.nobody(plan.message.type));
}

async function* read(
  link: Link,
  member: Peer,
  stream: RemoteStream,
  { message, deadline, signals }: FlowPlan,
): AsyncGenerator<unknown, void, undefined> {
  const { clock } = link.runtime;
  const gone = new AbortController();
  const giveUp = (fault: Fault): void => {
    stream.giveUp(fault);
    gone.abort(new CatgaError(fault));
  };
  const abort = (): void => giveUp(cancelledFault(message.type));
  const remaining = deadline === Infinity ? -1 : Math.max(Math.round(deadline - clock.mono()), 1);
  const stop = deadline === Infinity
    ? undefined
    : clock.timer(remaining, () => giveUp(timeoutFault(message.type)));
  let heard = clock.mono();
  let stopListening: () => void;
  const listen = (): void => {
    stopListening = clock.timer(SILENCE, () => {
      if (clock.mono() - heard < SILENCE) return listen();
      giveUp(
        systemFault(
          "TRANSPORT",
          `"${member.id}" has said nothing for ${SILENCE} ms; the stream may go on there`,
        ),
      );
    });
  };
  listen();
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  }
  try {
    const frame = link.encode("stream", link.nextSeq(), [encodeMessage(message, remaining)]);
    link.runtime.background(
      link.exchange(member, frame, (reply) => {
        heard = clock.mono();
        return stream.take(reply);
      }, { signal: gone.signal }).then(
        () => link.reached(member, undefined),
        (thrown) => (link.reached(member, faultOf(thrown)), thrown),
      ).then((thrown) => stream.end(thrown)),
    );
    for (let next = await stream.next(); next.done !== true; next = await stream.next()) yield next.value;
  } finally {
    stop?.();
    stopListening!();
    for (const signal of signals) signal.removeEventListener("abort", abort);
    gone.abort(new CatgaError(cancelledFault(message.type)));
  }
}
