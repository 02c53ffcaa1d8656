import { trouble } from "./trouble.ts";

/** How slices become endpoints. */
export interface Reading {
  /** `http` or `https`. */
  readonly scheme: string;
  /** A number, or the name that slices give it; `undefined` for the only one they have. */
  readonly port: number | string | undefined;
}

interface Slice {
  readonly metadata?: { readonly name?: unknown; readonly resourceVersion?: unknown };
  readonly addressType?: unknown;
  readonly endpoints?: unknown;
  readonly ports?: unknown;
}

interface Place {
  readonly addresses?: unknown;
  readonly conditions?: { readonly ready?: unknown; readonly terminating?: unknown };
}

/** Endpoints kept in all: what slices beyond them hold is known only when others have gone. */
const ROOM = 20_000;

/** The endpoints of the pods behind a service, slice by slice. */
export class Slices {
  /** Whether there was no room for some of them. */
  full: boolean = false;
  readonly #reading: Reading;
  readonly #slices: Map<string, readonly string[]> = new Map();
  #count = 0;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  /** Takes a slice in, in the place of an older one of its name. Throws a `CatgaError` for what is none. */
  put(object: unknown): void {
    const name = nameOf(object);
    const endpoints = endpointsOf(object as Slice, name, this.#reading);
    const before = this.#slices.get(name)?.length ?? 0;
    if (this.#count - before + endpoints.length > ROOM || (before === 0 && this.#slices.size >= ROOM)) {
      this.full = true;
      this.delete(object);
      return;
    }
    this.#count += endpoints.length - before;
    this.#slices.set(name, endpoints);
  }

  /** Lets a slice go. */
  delete(object: unknown): void {
    const name = nameOf(object);
    this.#count -= this.#slices.get(name)?.length ?? 0;
    this.#slices.delete(name);
  }

  /** All endpoints; one may come twice while a pod moves from slice to slice. */
  *endpoints(): Generator<string> {
    for (const endpoints of this.#slices.values()) yield* endpoints;
  }
}

/** The version that a list, a slice or a bookmark carries; `undefined` if there is none. */
export function versionOf(object: unknown): string | undefined {
  const version = isObject(object) ? (object as Slice).metadata?.resourceVersion : undefined;
  return typeof version === "string" && /^[\w.-]{1,128}$/.test(version) ? version : undefined;
}

/** Whether a value has fields. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function nameOf(object: unknown): string {
  const name = isObject(object) ? (object as Slice).metadata?.name : undefined;
  if (typeof name !== "string" || name === "" || name.length > 253) {
    throw trouble("SERIALIZATION", "Cannot read an EndpointSlice: it has no name");
  }
  return name;
}

function endpointsOf({ addressType, endpoints, ports }: Slice, name: string, reading: Reading): string[] {
  if (!Array.isArray(endpoints) || (addressType !== "IPv4" && addressType !== "IPv6")) return [];
  const hosts = endpoints.flatMap((place) => hostOf(place, addressType));
  if (hosts.length === 0) return [];
  const port = portOf(ports, name, reading);
  return port === undefined ? [] : hosts.map((host) => `${reading.scheme}://${host}:${port}`);
}

/**
 * The first address, as all of one endpoint are the same pod. Not told is ready. A pod that ends is no seed, also
 * while it still serves; one that does not serve yet is one if its service publishes it, so that nodes whose
 * readiness waits for the cluster find each other.
 */
function hostOf(place: unknown, type: "IPv4" | "IPv6"): string[] {
  if (!isObject(place)) return [];
  const { addresses, conditions } = place as Place;
  if (conditions?.ready === false || conditions?.terminating === true) return [];
  const address: unknown = Array.isArray(addresses) ? addresses[0] : undefined;
  if (typeof address !== "string") return [];
  if (type === "IPv4") return /^\d{1,3}(\.\d{1,3}){3}$/.test(address) ? [address] : [];
  return /^[\da-f:.]{2,45}$/i.test(address) && address.includes(":") ? [`[${address}]`] : [];
}

function portOf(ports: unknown, slice: string, { port }: Reading): number | undefined {
  if (typeof port === "number") return port;
  const all = (Array.isArray(ports) ? ports : []).filter((each) =>
    isObject(each) && isPort(each["port"]) && (each["protocol"] ?? "TCP") === "TCP"
  );
  const fitting = port === undefined ? all : all.filter((each) => each["name"] === port);
  if (fitting.length > 1) {
    const names = all.map((each) => `"${String(each["name"]).slice(0, 63)}"`).slice(0, 8).join(", ");
    throw trouble(
      "VALIDATION",
      `Cannot choose a port of EndpointSlice "${slice}": it has ${names}. Name one`,
    );
  }
  return fitting[0]?.["port"];
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && value as number > 0 && value as number < 65_536;
}
