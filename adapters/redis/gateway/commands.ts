import type { Answered, RedisLink, Words } from "./link.ts";
import type { Access } from "./access.ts";

/** What belongs to a connection, which requests share, would block it, or ends the server. */
const REFUSED: ReadonlySet<string> = new Set(
  ("MULTI EXEC DISCARD WATCH UNWATCH SELECT AUTH HELLO RESET QUIT CLIENT SUBSCRIBE PSUBSCRIBE SSUBSCRIBE " +
    "UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR SYNC PSYNC REPLCONF REPLICAOF SLAVEOF FAILOVER SHUTDOWN DEBUG " +
    "READONLY READWRITE ASKING BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF")
    .split(
      " ",
    ),
);
/** What reads, but too much for a token that may be seen by anybody. */
const NOT_TO_READ: ReadonlySet<string> = new Set([
  "SCAN",
  "KEYS",
  "EVAL_RO",
  "EVALSHA_RO",
  "FCALL_RO",
  "SORT_RO",
]);
const HARMLESS: ReadonlySet<string> = new Set(["PING", "ECHO"]);
const KNOWN = 1024;

/** Decides which commands are sent. */
export interface CommandRules {
  /** Why a command is not sent, as Redis would say it; `undefined` if it is. */
  refusal(words: Words, access: Access): Promise<string | undefined>;
}

/** Makes the rules; what only reads is asked of Redis itself, once a command. */
export function commandRules(link: RedisLink): CommandRules {
  const reads = new Map<string, boolean>();

  async function isRead(name: string, sub: string): Promise<boolean> {
    const both = `${name}|${sub}`;
    const known = reads.get(both) ?? reads.get(name);
    if (known !== undefined) return known;
    const [answered] = await link.send([["COMMAND", "INFO", both, name]]);
    const [own, whole] = flagsOf(answered);
    const read = (own ?? whole ?? []).includes("readonly");
    if (reads.size >= KNOWN) reads.clear();
    if (own !== undefined || whole !== undefined) reads.set(own === undefined ? name : both, read);
    return read;
  }

  return {
    refusal: async (words, access) => {
      const name = String(words[0]).toUpperCase();
      const shown = /^[\w.]{1,32}$/.test(name) ? `'${name.toLowerCase()}'` : "that";
      if (REFUSED.has(name)) return `ERR Command is not available: ${shown} cannot be used over HTTP`;
      if (/^XREAD/.test(name) && words.some((word) => String(word).toUpperCase() === "BLOCK")) {
        return `ERR Command is not available: ${shown} must not block`;
      }
      if (access === "full" || HARMLESS.has(name)) return undefined;
      const sub = String(words[1] ?? "").toLowerCase();
      const allowed = !NOT_TO_READ.has(name) && /^[\w.]{1,32}$/.test(name) &&
        await isRead(name.toLowerCase(), /^\w{1,32}$/.test(sub) ? sub : "-");
      return allowed ? undefined : `NOPERM this user has no permissions to run the ${shown} command`;
    },
  };
}

/** The flags of each command that `COMMAND INFO` was asked for; `undefined` of one that is not there. */
function flagsOf(answered: Answered | undefined): (readonly string[] | undefined)[] {
  if (answered === undefined || "error" in answered || !Array.isArray(answered.reply)) return [];
  return (answered.reply as readonly unknown[]).map((info) =>
    Array.isArray(info) && Array.isArray(info[2]) ? info[2].map(String) : undefined
  );
}
