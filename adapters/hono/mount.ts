import { Hono } from "hono";

/** What answers requests under a path, such as the `http()` backend of `@catga/catga/http`. */
export interface Mountable {
  readonly path: string;
  fetch(request: Request): Response | Promise<Response>;
}

/** Puts what other nodes speak to, such as a backend, into a Hono app: `app.route("/", mount(backend))`. */
export function mount(backend: Mountable): Hono {
  const path = backend.path.replace(/\/+$/, "");
  return new Hono().all(`${path}/*`, (context) => backend.fetch(context.req.raw));
}
