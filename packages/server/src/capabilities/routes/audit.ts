import type { AuditEntry } from '../audit-logs/index.js';
import type { StoredAction } from './actions/store.js';
import { CONFIG_WIRE_NAMES, type ConfigTerms, type RouteConfig } from './config.js';
import type { StoredRoute } from './store.js';

/** What may be shown of a change with old and new: names and switches. What is injected may be a credential. */
const SHOWN: readonly (keyof ConfigTerms)[] = [
  'targetBaseUrl',
  'requireSignature',
  'rateLimitEnabled',
  'rateLimitRequests',
  'rateLimitWindowSec',
  'rateLimitBurst',
  'allowedMethods',
  'restrictsMethods',
  'egressServerId',
  'requiresClients',
  'mtlsCertificateId',
  'interceptEnabled',
];

export function routeCreateEntry(route: StoredRoute, base: RouteConfig): AuditEntry {
  return routeEntry('route.create', route, {
    name: route.name,
    slug: route.slug,
    base_environment: route.baseEnvironment,
    ...shownOf(base, SHOWN),
  });
}

/** `changed` names all that was sent. */
export function routeUpdateEntry(
  before: { readonly route: StoredRoute; readonly base: RouteConfig },
  after: { readonly route: StoredRoute; readonly base: RouteConfig },
  changed: readonly string[],
): AuditEntry {
  const isSwitch = changed.length === 1 && changed[0] === 'enabled';
  const switched = after.route.enabled ? 'route.enable' : 'route.disable';
  return routeEntry(isSwitch ? switched : 'route.update', after.route, {
    name: after.route.name,
    changed,
    ...oldAndNew(
      { ...identityOf(before.route), ...shownOf(before.base, SHOWN) },
      {
        ...identityOf(after.route),
        ...shownOf(after.base, SHOWN),
      },
    ),
  });
}

export function routeDeleteEntry(route: StoredRoute, counts: Readonly<Record<string, number>>): AuditEntry {
  return routeEntry('route.delete', route, { name: route.name, slug: route.slug, ...counts });
}

export function environmentUpdateEntry(
  route: StoredRoute,
  before: RouteConfig | undefined,
  after: RouteConfig,
  changed: readonly string[],
): AuditEntry {
  const shown = (config: RouteConfig) => ({ enabled: config.enabled, ...shownOf(config, SHOWN) });
  return routeEntry('route.environment.update', route, {
    name: route.name,
    environment: after.environment,
    is_new: before === undefined,
    changed,
    ...oldAndNew(before ? shown(before) : {}, shown(after)),
  });
}

export function environmentDeleteEntry(
  route: StoredRoute,
  environment: string,
  counts: Readonly<Record<string, number>>,
): AuditEntry {
  return routeEntry('route.environment.delete', route, { name: route.name, environment, ...counts });
}

export function actionEntry(
  action: 'route.action.create' | 'route.action.delete',
  route: StoredRoute,
  stored: StoredAction,
): AuditEntry {
  return routeEntry(action, route, {
    name: route.name,
    action_id: stored.id,
    direction: stored.direction,
    action: stored.action,
    selectors: stored.selectors,
    key_name: stored.keyName,
    enabled: stored.enabled,
  });
}

function identityOf({ name, enabled }: StoredRoute) {
  return { name, enabled };
}

function shownOf(config: RouteConfig, names: readonly (keyof ConfigTerms)[]): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name) => {
      const value = config[name];
      return [
        CONFIG_WIRE_NAMES[name],
        name === 'targetBaseUrl' ? withoutQuery(value as string | null) : value,
      ];
    }),
  );
}

/** A query may hold a credential. */
function withoutQuery(url: string | null): string | null {
  return url?.replace(/\?.*$/s, '') ?? null;
}

function oldAndNew(before: Record<string, unknown>, after: Record<string, unknown>) {
  const different = Object.keys(after).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  const only = (of: Record<string, unknown>) =>
    Object.fromEntries(different.map((name) => [name, of[name] ?? null]));
  return { old: only(before), new: only(after) };
}

function routeEntry(action: string, { id }: StoredRoute, details: Record<string, unknown>): AuditEntry {
  return { action, resourceType: 'route', resourceId: id, details };
}
