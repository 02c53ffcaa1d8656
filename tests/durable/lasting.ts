import type { Store } from "@catga/catga/ports";

/** A store in memory that stands for one which outlives the processes of a test. */
export function lasting(store: Store): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "durability") return "process";
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
