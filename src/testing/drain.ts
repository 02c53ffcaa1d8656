/**
 * Lets everything that is ready run to its end: all microtasks, and those that they start. May do so at once, as
 * Bun's `drainMicrotasks` does, or answer a promise.
 */
export type Drain = () => void | Promise<void>;

/**
 * A drain for every platform: it goes once around the event loop, and a platform runs all microtasks before it goes
 * on there. This file and the system runtime are the only ones that may touch the platform's own scheduling: a
 * simulation cannot take it from a `Runtime`, because it is what stands behind one.
 *
 * `setImmediate` is right on Bun, Deno and Node and takes 0.8, 1.5 and 1.9 µs; on Deno a `MessageChannel` overtakes
 * microtasks, so it serves only where there is nothing else.
 */
export function createDrain(): Drain {
  const { setImmediate: immediate } = globalThis as { setImmediate?: (run: () => void) => unknown };
  if (immediate !== undefined) return () => new Promise((resolve) => void immediate(resolve));
  return () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(undefined);
    });
}
