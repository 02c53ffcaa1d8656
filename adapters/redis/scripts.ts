/** A constant program for Redis. Data goes in as keys and arguments, never as text of it. */
export interface Script {
  /** What it is called in messages, such as `store.put`. */
  readonly name: string;
  /** The program, in Lua: `KEYS` and `ARGV` are as usual, what it returns is the answer. */
  readonly source: string;
}

/**
 * Makes a script. It may return texts, whole numbers, `false` (which becomes `null`) and lists of them, or
 * `redis.error_reply(…)`. A list ends at its first `nil`.
 */
export function script(name: string, source: string): Script {
  return { name, source };
}

/** The program as it is sent: the last argument names the run, and comes back with the answer. */
export function sourceOf({ source }: Script): string {
  return `local function run() ${source}
end
local tag = table.remove(ARGV)
local answer = run()
if type(answer) == "table" and answer.err then return answer end
return { tag, answer }`;
}
