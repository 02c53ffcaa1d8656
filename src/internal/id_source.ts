/**
 * Makes names that are unique without asking anyone: 64 random bits, drawn at first use, and a count. Cheap enough
 * for one per message; not for secrets.
 */
export function createIdSource(u32: () => number): () => string {
  let prefix: string | undefined;
  let count = 0;
  return () => {
    prefix ??= u32().toString(36).padStart(7, "0") + u32().toString(36).padStart(7, "0") + "-";
    return prefix + (count++).toString(36);
  };
}
