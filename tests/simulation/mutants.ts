/** Backends with a rule broken on purpose. What does not notice them proves nothing. */

import { CatgaError, systemFault } from "@catga/catga";
import type { Backend, ExchangeOptions, Frame, Runtime, Transport } from "@catga/catga/ports";

export type Mutant = (backend: Backend) => Backend;

/** Says of frames that may have been taken that they certainly were not, so that started calls fail over. */
export const liar: Mutant = changing((transport) => ({
  exchange: (to, frame, reply, options) =>
    transport.exchange(to, frame, reply, options).then(undefined, (thrown: CatgaError) => {
      if (thrown.code !== "TRANSPORT") throw thrown;
      throw new CatgaError(systemFault("UNAVAILABLE", thrown.message));
    }),
}));

/** Hands over copies of a frame as if they were frames of their own. */
export const doubler: Mutant = (backend) => {
  let count = 0;
  return changing((transport) => ({
    serve: (self, receiver) =>
      transport.serve(self, (frame, reply, options) => {
        const envelope = JSON.parse(String(frame)) as unknown[];
        envelope[4] = ++count;
        return receiver(JSON.stringify(envelope), reply, options);
      }),
  }))(backend);
};

/** Confuses which answer belongs to which call. */
export const swapper: Mutant = changing((transport) => ({
  exchange: (to, frame, reply, options) =>
    transport.exchange(to, frame, (answer) => reply(swapped(answer)), options),
}));

/** Goes on waiting for what was given up. */
export const waiter: Mutant = changing((transport) => ({
  exchange: (to, frame, reply) => transport.exchange(to, frame, reply),
}));

/** Answers a call, and then once more with something else. */
export const stutterer: Mutant = changing((transport) => ({
  serve: (self, receiver) =>
    transport.serve(self, (frame, reply, options) =>
      receiver(frame, async (answer) => {
        await reply(answer);
        await reply(String(answer).replace('"n":', '"n":1'));
      }, options)),
}));

/** How old a heartbeat may be, in ms: the timeout of the profile `fast`. */
const STALE = 1000;

/** Judges how old a heartbeat is by the time of its sender: one that is too old was not heard. */
export const sundial: Mutant = judging((sent) => sent);

/** The same, by a node that knows how far the sender's clock was off when it first heard of it. */
export const pocketWatch: Mutant = judging((sent, now, offsets, from) => {
  const offset = offsets.get(from) ?? now - sent;
  offsets.set(from, offset);
  return sent + offset;
});

/** Puts the sender's time into heartbeats, and keeps from the node what is too old by it. */
function judging(
  timeOf: (sent: number, now: number, offsets: Map<string, number>, from: string) => number,
): Mutant {
  return changing((transport, { clock }) => {
    const offsets = new Map<string, number>();
    const stamp = (frame: Frame): Frame => JSON.stringify([...JSON.parse(String(frame)), clock.wall()]);
    const isStale = (frame: Frame): boolean => {
      const [, kind, from, , , , sent] = JSON.parse(String(frame)) as [number, string, string, ...number[]];
      const now = clock.wall();
      return kind === "beat" && now - timeOf(sent!, now, offsets, from) > STALE;
    };
    return {
      exchange: (to, frame, reply, options) =>
        transport.exchange(
          to,
          stamp(frame),
          (answer) => isStale(answer) ? undefined : reply(answer),
          options,
        ),
      serve: (self, receiver) =>
        transport.serve(
          self,
          (frame, reply, options) =>
            isStale(frame) ? silence(options) : receiver(frame, (answer) => reply(stamp(answer)), options),
        ),
    };
  });
}

function silence({ signal }: ExchangeOptions): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
}

function swapped(frame: Frame): Frame {
  const envelope = JSON.parse(String(frame)) as [number, string, string, number, number, [number][]];
  const [first, second] = envelope[5];
  if (envelope[1] !== "call" || first === undefined || second === undefined) return frame;
  [first[0], second[0]] = [second[0], first[0]];
  return JSON.stringify(envelope);
}

function changing(change: (transport: Transport, runtime: Runtime) => Partial<Transport>): Mutant {
  return (backend) => ({
    ...backend,
    open: (host) => {
      const parts = backend.open(host);
      const { transport } = parts;
      const own: Transport = {
        name: transport.name,
        serve: (self, receiver) => transport.serve(self, receiver),
        exchange: (to, frame, reply, options) => transport.exchange(to, frame, reply, options),
        [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
        ...change(transport, host.runtime),
      };
      return { ...parts, transport: own };
    },
  });
}
