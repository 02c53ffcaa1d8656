/**
 * What headers say under a name, in upper or lower case; `undefined` if nothing, `null` if more than one spelling does
 * or what they say is no text.
 *
 * @param name in lower case
 */
export function namedHeader(
  headers: Readonly<Record<string, string>> | undefined,
  name: string,
): string | undefined | null {
  if (headers === undefined) return undefined;
  let found: string | undefined | null;
  for (const spelled in headers) {
    if (spelled.length !== name.length || spelled.toLowerCase() !== name) continue;
    if (found !== undefined || !Object.hasOwn(headers, spelled)) return null;
    found = typeof headers[spelled] === "string" ? headers[spelled] : null;
  }
  return found;
}
