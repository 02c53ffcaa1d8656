import type { Answered, RedisLink, Words } from "./link.ts";

/** What Redis says of one of its commands. */
export interface CommandFacts {
  readonly isRead: boolean;
  /** At which word its first key is; 0 where it has none, or another at each time. */
  readonly key: number;
  /** Whether its keys are at another place each time. */
  readonly isMovable: boolean;
}

/** Of how many commands it is known what they are. */
const KNOWN = 1024;

/** Asks Redis what its commands are, once each; `undefined` of one that it does not have. */
export class CommandTable {
  readonly #send: RedisLink["send"];
  readonly #known: Map<string, CommandFacts> = new Map();

  constructor(send: RedisLink["send"]) {
    this.#send = send;
  }

  async find(words: Words): Promise<CommandFacts | undefined> {
    const [name, sub] = [nameOf(words[0]), nameOf(words[1])];
    if (name === undefined) return undefined;
    const both = `${name}|${sub ?? "-"}`;
    const known = this.#known.get(name) ?? this.#known.get(both);
    if (known !== undefined) return known;
    const [answered] = await this.#send([["COMMAND", "INFO", both, name]], "json");
    const [own, whole] = infosOf(answered);
    const found = own ?? whole;
    if (found === undefined) return undefined;
    if (this.#known.size >= KNOWN) this.#known.clear();
    // A word that is no subcommand must not stand for all of them.
    if (own !== undefined) this.#known.set(both, own);
    else if (!found.hasSubcommands) this.#known.set(name, found);
    return found;
  }
}

function nameOf(word: Words[number] | undefined): string | undefined {
  const name = String(word ?? "").toLowerCase();
  return /^[\w.]{1,32}$/.test(name) ? name : undefined;
}

/** What `COMMAND INFO` says of each command that it was asked for. */
function infosOf(
  answered: Answered | undefined,
): ((CommandFacts & { readonly hasSubcommands: boolean }) | undefined)[] {
  if (answered === undefined || "error" in answered || !Array.isArray(answered.reply)) return [];
  return (answered.reply as readonly unknown[]).map((info) => {
    if (!Array.isArray(info) || !Array.isArray(info[2])) return undefined;
    const flags = info[2].map(String);
    return {
      isRead: flags.includes("readonly"),
      key: Number(info[3]),
      isMovable: flags.includes("movablekeys"),
      hasSubcommands: Array.isArray(info[9]) && info[9].length > 0,
    };
  });
}
