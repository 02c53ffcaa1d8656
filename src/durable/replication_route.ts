import type { Parcel } from "../wire/parcel.ts";

/** Says through which clusters an event has come, behind its id. */
const HEADER = "catga-through";
const NAME = /^[A-Za-z0-9-]{1,64}$/;

/** Whether a text can name a cluster. */
export function isClusterName(text: string): boolean {
  return NAME.test(text);
}

/**
 * The clusters that an event has come through. What its handlers tell inherits its headers, but not its id, and begins
 * where they are.
 */
export function routeOf({ id, headers }: Parcel): readonly string[] {
  const said = headers?.[HEADER];
  if (said === undefined || !said.startsWith(`${id} `)) return [];
  return said.slice(id.length + 1).split(",").filter(isClusterName);
}

/** An event that has also come through this cluster. */
export function comeThrough(parcel: Parcel, cluster: string): Parcel {
  const route = [...routeOf(parcel), cluster].join(",");
  return { ...parcel, headers: { ...parcel.headers, [HEADER]: `${parcel.id} ${route}` } };
}
