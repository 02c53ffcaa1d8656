/** A constant program for Redis. Data goes in as keys and arguments, never as text of it. */
export interface Script {
  /** What it is called in messages, such as `store.put`. */
  readonly name: string;
  /** The program, in Lua: `KEYS` and `ARGV` are as usual, what it returns is the answer. */
  readonly source: string;
  /**
   * How many arguments one run takes, where runs of one turn share a command: the program then defines a local function `run`
   * that takes them. What it does once serves all runs.
   */
  readonly each?: number;
}

/**
 * Makes a script. It may return texts, whole numbers, `false` (which becomes `null`) and lists of them, or
 * `redis.error_reply(…)`. A list ends at its first `nil`.
 */
export function script(name: string, source: string): Script {
  return { name, source };
}

/** Makes a script whose runs of one turn share a command. */
export function sharedScript(name: string, each: number, source: string): Script {
  return { name, source, each };
}

/** The program as it is sent: the last argument of a run names it, and comes back with the answer. */
export function sourceOf({ source, each }: Script): string {
  if (each !== undefined) {
    return `${source}
local answers = {}
for at = 1, #ARGV, ${each + 1} do
  answers[#answers + 1] = { ARGV[at + ${each}], run(unpack(ARGV, at, at + ${each - 1})) }
end
return answers`;
  }
  return `local function run() ${source}
end
local tag = table.remove(ARGV)
local answer = run()
if type(answer) == "table" and answer.err then return answer end
return { tag, answer }`;
}
