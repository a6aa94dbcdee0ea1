import type { Grant } from '../../kernel/principal.js';
import { NAMED_ONLY, NARROWABLE } from './names.js';

/** What roles are made of (auth.md §1.5). `*` stands for every family or every verb. */
export interface Rule {
  readonly resourceType: string;
  readonly actions: readonly string[];
  readonly effect: 'allow' | 'deny';
  /** Narrows the rule to one named thing: a vault, a connection or `connection/role` of dyn-db. */
  readonly resource: string | null;
}

/** Rules made ready to be asked: an answer is a look-up in a set. */
export interface Decision {
  readonly grants: readonly Grant[];
  /** For that resource; without one, for any. */
  may(permission: string, resource?: string): boolean;
}

/** What is not allowed is denied, and `deny` wins. Of `holdable` names alone: a key never has those of the dashboard. */
export function decide(rules: readonly Rule[], holdable: ReadonlySet<string>): Decision {
  const allowed = new Reach();
  const denied = new Reach();
  for (const rule of rules) {
    const reach = rule.effect === 'allow' ? allowed : denied;
    for (const permission of namesIn(rule, holdable)) {
      if (rule.resource === null) reach.everywhere.add(permission);
      else if (NARROWABLE.has(permission)) reach.addResource(permission, rule.resource);
      // Nobody asks for the resource of such a permission: the narrower rule could only be taken for the wide one.
      else if (rule.effect === 'deny') denied.everywhere.add(permission);
    }
  }
  for (const permission of denied.everywhere) allowed.delete(permission);
  return {
    grants: [...holdable].flatMap((permission) => grantsOf(permission, allowed, denied)),
    may(permission, resource) {
      if (resource === undefined) return allowed.has(permission);
      return allowed.includes(permission, resource) && !denied.includes(permission, resource);
    },
  };
}

/** Where permissions hold: everywhere, or at named resources. */
class Reach {
  readonly everywhere = new Set<string>();
  readonly #resources = new Map<string, Set<string>>();

  addResource(permission: string, resource: string): void {
    const resources = this.#resources.get(permission);
    if (resources) resources.add(resource);
    else this.#resources.set(permission, new Set([resource]));
  }

  delete(permission: string): void {
    this.everywhere.delete(permission);
    this.#resources.delete(permission);
  }

  resourcesOf(permission: string): string[] {
    return [...(this.#resources.get(permission) ?? [])];
  }

  has(permission: string): boolean {
    return this.everywhere.has(permission) || this.#resources.has(permission);
  }

  includes(permission: string, resource: string): boolean {
    if (this.everywhere.has(permission)) return true;
    const resources = this.#resources.get(permission);
    if (!resources) return false;
    return resources.has(resource) || resources.has(wholeOf(resource));
  }
}

/** `connection` of `connection/role`; no other resource has a slash in its name. */
function wholeOf(resource: string): string {
  const slash = resource.indexOf('/');
  return slash === -1 ? resource : resource.slice(0, slash);
}

function covers(held: string, asked: string): boolean {
  return held === asked || held === wholeOf(asked);
}

function* namesIn(rule: Rule, holdable: ReadonlySet<string>): Iterable<string> {
  for (const action of rule.actions) {
    if (rule.resourceType !== '*' && action !== '*') {
      const name = `${rule.resourceType}:${action}`;
      if (holdable.has(name)) yield name;
      continue;
    }
    for (const name of holdable) {
      const [family, verb] = name.split(':');
      const isMeant =
        (rule.resourceType === '*' || rule.resourceType === family) && (action === '*' || action === verb);
      if (isMeant && (name !== NAMED_ONLY || rule.effect === 'deny')) yield name;
    }
  }
}

/** As a list of what is held; what a denial cuts a piece out of is left out, for it cannot be said so. */
function grantsOf(permission: string, allowed: Reach, denied: Reach): Grant[] {
  const exceptions = denied.resourcesOf(permission);
  if (allowed.everywhere.has(permission) && exceptions.length === 0) return [{ permission, resource: null }];
  return allowed
    .resourcesOf(permission)
    .filter((resource) => !exceptions.some((one) => covers(one, resource) || covers(resource, one)))
    .map((resource) => ({ permission, resource }));
}

/** What of it lies within those names: a token has no more than its scope. */
export function narrowDecision(decision: Decision, permissions: ReadonlySet<string>): Decision {
  return {
    grants: decision.grants.filter(({ permission }) => permissions.has(permission)),
    may: (permission, resource) => permissions.has(permission) && decision.may(permission, resource),
  };
}

/** The first of `asked` that `held` does not cover. */
export function firstBeyond(held: readonly Grant[], asked: readonly Grant[]): Grant | undefined {
  return asked.find(
    ({ permission, resource }) =>
      !held.some(
        (grant) =>
          grant.permission === permission &&
          (grant.resource === null || (resource !== null && covers(grant.resource, resource))),
      ),
  );
}
