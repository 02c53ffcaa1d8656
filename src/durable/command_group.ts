import type { Queue } from "../ports/queue.ts";

/** The group of all nodes that serve a command: one of them handles it. */
export const COMMANDS = "commands";
const PREFIX = "commands/";

/** Where commands of a name wait; no event has such a name. */
export function topicOfCommand(type: string): string {
  return PREFIX + type;
}

/** The part of a queue that messages are put into. */
export type Pushing = Pick<Queue, "push">;

/** A queue that keeps commands also before any node that serves them was there. */
export function keepingCommands(queue: Queue): Pushing {
  return {
    push: (topic, items, options) => {
      if (!topic.startsWith(PREFIX)) return queue.push(topic, items, options);
      // Each time, as the group may have gone with what its queue kept.
      return queue.subscribe(topic, COMMANDS, options).then(() => queue.push(topic, items, options));
    },
  };
}
