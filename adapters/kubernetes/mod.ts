/**
 * Nodes that find each other where a platform starts them: by the Kubernetes API, or by DNS. Both give the backend
 * `http` its peers.
 *
 * By the API nodes hear of a pod that comes or goes within a moment, and need a service account that may list and
 * watch EndpointSlices. By DNS they need nothing, and hear of it as late as the name server's cache lets them.
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
 *
 * @module
 */
export type { Discovery, OpenDiscovery } from "../../src/ports/discovery.ts";
export { dns, type DnsOptions } from "./dns.ts";
export type { DnsRecord, Resolve } from "./dns_resolve.ts";
export { kubernetes, type KubernetesOptions } from "./kubernetes.ts";
export { mountedFile } from "./mounted_file.ts";
