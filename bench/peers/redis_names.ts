/** How many values a get goes round. */
export const VALUES = 1000;

/** How a lane of `64 of one key` or of `64` calls what it asks for. */
export function keysOf(what: string): (lane: number) => string {
  return what.includes("one key") ? () => "tenant" : (lane) => `tenant/${lane}`;
}
