import type { AuditEntry } from '../audit-logs/index.js';
import type { Environment, EnvironmentTerms } from './store.js';

/** Readers of the audit log know the fields by their names on the wire. */
const WIRE_NAMES: Record<keyof EnvironmentTerms, string> = {
  name: 'name',
  displayName: 'display_name',
  description: 'description',
  color: 'color',
  isDefault: 'is_default',
  variables: 'variables',
};
const NAMES = Object.keys(WIRE_NAMES) as (keyof EnvironmentTerms)[];

export function environmentCreateEntry(environment: Environment): AuditEntry {
  return environmentEntry('create', environment, termsOf(environment, NAMES));
}

export function environmentUpdateEntry(
  before: Environment,
  after: Environment,
  sent: readonly (keyof EnvironmentTerms)[],
): AuditEntry {
  return environmentEntry('update', after, {
    name: after.name,
    old: termsOf(before, sent),
    new: termsOf(after, sent),
  });
}

/** `removed` counts what hung on it. */
export function environmentDeleteEntry(
  environment: Environment,
  removed: Readonly<Record<string, number>>,
): AuditEntry {
  return environmentEntry('delete', environment, { name: environment.name, ...removed });
}

function termsOf(
  environment: EnvironmentTerms,
  names: readonly (keyof EnvironmentTerms)[],
): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [WIRE_NAMES[name], environment[name]]));
}

function environmentEntry(verb: string, { id }: Environment, details: Record<string, unknown>): AuditEntry {
  return { action: `environment.${verb}`, resourceType: 'environment', resourceId: id, details };
}
