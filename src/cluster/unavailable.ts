import { type SystemFault, systemFault } from "../result.ts";
import type { Member } from "./types.ts";

/** The fault of sending through a node that is no longer in the cluster. */
export function leftFault(type: string): SystemFault {
  return systemFault("UNAVAILABLE", `Cannot send "${type}": this node has left the cluster`);
}

/** The fault of a reliable event that would be lost, and why. */
export function unkeptFault(what: string, why: string): SystemFault {
  const message =
    `${what} is a reliable event, but ${why}; choose a backend that keeps events, or set unsafe: true ` +
    "and let them be lost";
  return systemFault("CONFLICT", message);
}

/** The fault of a message that no node can take just now, and why. */
export function nobodyFault(type: string, known: readonly Member[]): SystemFault {
  const serving = known.filter((member) => member.contracts.includes(type));
  if (serving.length === 0) {
    return systemFault(
      "NO_HANDLER",
      `Cannot send "${type}": none of the ${known.length} known nodes serves it`,
    );
  }
  const state = ({ status, reachable }: Member) => reachable ? status : `${status}, unreachable`;
  const names = serving.slice(0, 5).map((member) => `${member.id} (${state(member)})`).join(", ");
  return systemFault(
    "UNAVAILABLE",
    `Cannot send "${type}": no node that serves it can take it now: ${names}`,
  );
}
