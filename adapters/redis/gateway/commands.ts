import type { Access } from "./access.ts";
import { CommandTable } from "./command_table.ts";
import type { RedisLink, Words } from "./link.ts";

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

/** Decides which commands are sent. */
export interface CommandRules {
  /** Why a command is not sent, as Redis would say it; `undefined` if it is. At once where Redis need not be asked. */
  refusal(words: Words, access: Access): string | undefined | Promise<string | undefined>;
}

/** Makes the rules; what only reads is asked of Redis itself, once a command. */
export function commandRules(link: RedisLink): CommandRules {
  const table = new CommandTable(link.send);

  async function unread(words: Words, name: string): Promise<string | undefined> {
    if ((await table.find(words))?.isRead === true) return undefined;
    return noPermission(name);
  }

  return {
    refusal: (words, access) => {
      const name = String(words[0]).toUpperCase();
      if (REFUSED.has(name)) return `ERR Command is not available: ${shown(name)} cannot be used over HTTP`;
      if (name.startsWith("XREAD") && words.some((word) => String(word).toUpperCase() === "BLOCK")) {
        return `ERR Command is not available: ${shown(name)} must not block`;
      }
      if (access === "full" || HARMLESS.has(name)) return undefined;
      return NOT_TO_READ.has(name) ? noPermission(name) : unread(words, name);
    },
  };
}

function noPermission(name: string): string {
  return `NOPERM this user has no permissions to run the ${shown(name)} command`;
}

function shown(name: string): string {
  return /^[\w.]{1,32}$/.test(name) ? `'${name.toLowerCase()}'` : "that";
}
