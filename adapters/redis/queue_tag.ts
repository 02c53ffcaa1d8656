/** How long the name under which things are kept may be. */
const NAME = 64;

/** The part of a key that says where it is kept; keys with the same one are in one place of a Redis Cluster. */
export function tagOf(name: string, ...rest: readonly string[]): string {
  return `{${[name, ...rest].map(encodeURIComponent).join(":")}}`;
}

/** Refuses a name under which nothing can be kept. Throws a `RangeError`. */
export function checkedName(name: string): string {
  if (name.length >= 1 && name.length <= NAME && name.isWellFormed()) return name;
  throw new RangeError(
    `Cannot keep anything in Redis: the name has ${name.length} characters, but needs 1 to ${NAME} of well-formed Unicode`,
  );
}
