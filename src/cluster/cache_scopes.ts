import { LruGroup } from "../internal/lru.ts";

/** The answers of one query to one tenant. */
export interface Scope {
  readonly group: LruGroup;
  live: boolean;
  flights: number;
}

/** Which answers go together when a command says that they hold no more: those of one query to one tenant. */
export class CacheScopes {
  readonly #dropGroup: (group: LruGroup) => number;
  readonly #scopes: Map<string, Map<string | undefined, Scope>> = new Map();
  #count = 0;
  #sweepAt = 64;

  /** @param dropGroup lets the answers of a group go; answers how many there were */
  constructor(dropGroup: (group: LruGroup) => number) {
    this.#dropGroup = dropGroup;
  }

  /** The scope of a query and a tenant. */
  of(type: string, tenant: string | undefined): Scope {
    const found = this.#scopes.get(type)?.get(tenant);
    if (found !== undefined) return found;
    if (this.#count >= this.#sweepAt) this.#sweep();
    let scopes = this.#scopes.get(type);
    if (scopes === undefined) this.#scopes.set(type, scopes = new Map());
    const scope = { group: new LruGroup(), live: true, flights: 0 };
    scopes.set(tenant, scope);
    this.#count++;
    return scope;
  }

  /** Lets the answers of a query go; answers how many there were. Those without a tenant go with those of any. */
  drop(type: string, tenant: string | undefined): number {
    const scopes = this.#scopes.get(type);
    if (scopes === undefined) return 0;
    let count = 0;
    for (const name of tenant === undefined ? [...scopes.keys()] : [tenant, undefined]) {
      const scope = scopes.get(name);
      if (scope !== undefined) count += this.#forget(type, name, scope);
    }
    return count;
  }

  /** Lets all go. */
  clear(): void {
    for (const [type, scopes] of this.#scopes) {
      for (const [name, scope] of scopes) this.#forget(type, name, scope);
    }
  }

  /** Forgets scopes that nothing is in any longer. */
  #sweep(): void {
    for (const [type, scopes] of this.#scopes) {
      for (const [name, scope] of scopes) {
        if (scope.group.first === undefined && scope.flights === 0) this.#forget(type, name, scope);
      }
    }
    this.#sweepAt = Math.max(64, this.#count * 2);
  }

  #forget(type: string, name: string | undefined, scope: Scope): number {
    const scopes = this.#scopes.get(type)!;
    scope.live = false;
    scopes.delete(name);
    if (scopes.size === 0) this.#scopes.delete(type);
    this.#count--;
    return this.#dropGroup(scope.group);
  }
}
