/** Backends with a rule broken on purpose. What does not notice them proves nothing. */

import { CatgaError, systemFault } from "@catga/catga";
import type { Backend, Frame, Transport } from "@catga/catga/ports";

export type Mutant = (backend: Backend) => Backend;

/** Says of frames that may have been taken that they certainly were not. */
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

function swapped(frame: Frame): Frame {
  const envelope = JSON.parse(String(frame)) as [number, string, string, number, number, [number][]];
  const [first, second] = envelope[5];
  if (envelope[1] !== "call" || first === undefined || second === undefined) return frame;
  [first[0], second[0]] = [second[0], first[0]];
  return JSON.stringify(envelope);
}

function changing(change: (transport: Transport) => Partial<Transport>): Mutant {
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
        ...change(transport),
      };
      return { ...parts, transport: own };
    },
  });
}
