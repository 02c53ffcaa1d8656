import type { Discovery } from "../../src/ports/discovery.ts";
import { keepLooking } from "./keep_looking.ts";
import { mountedFile } from "./mounted_file.ts";
import { isLabel, SliceApi } from "./slice_api.ts";
import { trouble } from "./trouble.ts";
import { watchSlices } from "./watch_slices.ts";

/** What {@linkcode kubernetes} takes. */
export interface KubernetesOptions {
  /** The service whose pods are the nodes; a headless one will do. */
  readonly service: string;
  /** Where the service is. @default the pod's own namespace */
  readonly namespace?: string | (() => string | Promise<string>);
  /** The port that nodes listen on, by number or by its name in the service. @default the only one there is */
  readonly port?: number | string;
  /** How nodes are reached. @default "http" */
  readonly scheme?: "http" | "https";
  /** The URL of the API server. @default "https://kubernetes.default.svc", as pods reach it */
  readonly api?: string;
  /**
   * What to show the API server. A function is called for each request, so that a token may be replaced meanwhile.
   * Sent by https or within this machine alone.
   * @default the token mounted into the pod; none if `api` is given
   */
  readonly token?: string | (() => string | Promise<string>);
  /**
   * The authority that signed the API server's certificate, in PEM. Requests go out by `node:https` with one, and by
   * the runtime's `fetch` without.
   * @default the authority mounted into the pod; none if `api` is given
   */
  readonly ca?: string | (() => string | Promise<string>);
  /** Bytes in one answer of the API server. @default 16777216 */
  readonly limit?: number;
}

const MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount";
const POD_API = "https://kubernetes.default.svc";

/**
 * Finds the ready pods behind a service by the EndpointSlices that Kubernetes keeps of it: lists them, then watches
 * them. A pod with an address of each family is found under both, as nobody but its node knows on which it listens. The
 * pod's service account needs the verbs `list` and `watch` on `endpointslices` of `discovery.k8s.io`.
 *
 * Throws a `RangeError` for a name, a port or a limit that can't be one, a `CatgaError` with `VALIDATION` for an API
 * server that is no plain http(s) URL and for a token that would travel unencrypted.
 *
 * @example
 * ```ts
 * import { http } from "@catga/catga/http";
 * import { kubernetes } from "@catga/catga/kubernetes";
 *
 * const secret = "the same 32 or more characters on every node";
 * const backend = http({ peers: kubernetes({ service: "orders", port: 5001 }), secret });
 * console.log(backend.name); // http
 * ```
 */
export function kubernetes(options: KubernetesOptions): Discovery {
  const { service, namespace, port, scheme = "http", token, ca, limit = 16 * 1024 * 1024 } = options;
  const inPod = options.api === undefined;
  if (!isLabel(service)) throw new RangeError(`service must be a DNS label, not ${JSON.stringify(service)}`);
  if (typeof namespace === "string" && !isLabel(namespace)) {
    throw new RangeError(`namespace must be a DNS label, not ${JSON.stringify(namespace)}`);
  }
  if (typeof port === "number" && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new RangeError(`port must be from 1 to 65535 or a name, not ${port}`);
  }
  if (scheme !== "http" && scheme !== "https") {
    throw new RangeError(`scheme must be "http" or "https", not ${JSON.stringify(scheme)}`);
  }
  if (!(limit > 0)) throw new RangeError(`limit must be over 0 bytes, not ${limit}`);
  const name = `Kubernetes service "${service}"`;
  const source = {
    api: readApi(options.api ?? POD_API, token !== undefined, ca !== undefined),
    namespace: namespace ?? mountedFile(`${MOUNTED}/namespace`),
    service,
    token: token ?? (inPod ? mountedFile(`${MOUNTED}/token`) : undefined),
    ca: ca ?? (inPod ? mountedFile(`${MOUNTED}/ca.crt`) : undefined),
    limit,
  };
  return {
    name,
    open: (runtime) =>
      keepLooking(
        name,
        runtime,
        watchSlices(new SliceApi(source, runtime), runtime, { scheme, port }),
      ),
  };
}

function readApi(text: string, secret: boolean, ca: boolean): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Refused below.
  }
  // Never quoted: it may hold a password.
  const refuse = (found: string, advice: string): Error =>
    trouble("VALIDATION", `Cannot use the URL of the Kubernetes API: ${found}. ${advice}`);
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw refuse("it is no http(s) URL", "Give one such as https://10.0.0.1:6443");
  }
  if (url.username !== "" || url.password !== "") {
    throw refuse("it holds a user name or a password", "Leave them out and give a token");
  }
  if (url.search !== "" || url.hash !== "") {
    throw refuse("it has a query or a fragment", "Give scheme, host, port and path alone");
  }
  if (url.protocol === "http:") {
    if (ca) throw refuse("it has a certificate authority but no https", "Use https");
    if (secret && !/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)) {
      throw refuse("a token would travel unencrypted", "Use https, or a proxy on 127.0.0.1");
    }
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}
