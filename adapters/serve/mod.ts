/**
 * What a server process needs of its runtime, the same on Bun, Deno and Node: a server, a faster runtime port and an
 * orderly end.
 *
 * On Node it stands on `@hono/node-server`, and on `undici` where that is there.
 *
 * @example
 * ```ts
 * import { serve } from "@catga/catga/serve";
 *
 * const server = await serve(() => new Response("Hello"), { port: 0 });
 * const answer = await fetch(server.url);
 * console.log(await answer.text()); // Hello
 * await server.stop();
 * ```
 *
 * @module
 */
export type { Handler } from "./listener.ts";
export { processRuntime } from "./process_runtime.ts";
export { serve, type ServeOptions, type Server, type StopOptions } from "./serve.ts";
export { onShutdown, type ShutdownOptions } from "./shutdown.ts";
