import { CatgaError, systemFault } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import { checkGroup } from "../ports/queue_faults.ts";
import type { ReliableHost } from "./reliable_host.ts";

/** Throws a `CatgaError` where a handler cannot be told from those of other services or from another of its node. */
export function refuseHearer(
  { service, engine, queue }: ReliableHost,
  { type, key }: Contract,
  name: string,
  at: number,
  group: string,
): void {
  const refuse = (why: string): never => {
    throw new CatgaError(systemFault("CONFLICT", `Cannot hear "${type}": ${why}`));
  };
  if (service === undefined) {
    refuse(
      "say which service this node is of, so that its nodes share the events and other services get their own",
    );
  }
  if (service === "" || service?.includes("/")) {
    refuse(
      `the name of its service, "${service}", is empty or has a "/"; another's groups could be called the same`,
    );
  }
  try {
    checkGroup(type, group);
  } catch (thrown) {
    refuse(
      `no queue takes the group of its handler, ${JSON.stringify(group)}: ${(thrown as Error).message}`,
    );
  }
  if (key !== undefined && !queue.ordered) {
    refuse(
      "its contract has a key, but the queue keeps no order; take the key away or choose another backend",
    );
  }
  if (engine.hearers(type).indexOf(name) !== at) {
    refuse(`two of its handlers are called "${name}"; name them, so that each gets its own deliveries`);
  }
}
