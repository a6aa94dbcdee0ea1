import type { RouteConfig } from '../config.js';
import { inherited, overrideOf, settingsOf } from '../settings.js';
import type { StoredRoute } from '../store.js';
import type { CallableRoute, FieldAction, RouteEnvironment, RouteSettings } from '../types.js';

export type Variables = ReadonlyMap<string, string>;

const NONE: Variables = new Map();

export function callableRoute(
  route: StoredRoute,
  configs: readonly RouteConfig[],
  actions: readonly FieldAction[],
  variables: ReadonlyMap<string, Variables>,
): CallableRoute {
  const base = configs.find(({ environment }) => environment === route.baseEnvironment);
  const environments = configs.map((config): [string, RouteEnvironment] => [
    config.environment,
    environmentOf(base ?? config, config, variables.get(config.environment) ?? NONE),
  ]);
  return {
    id: route.id,
    name: route.name,
    slug: route.slug,
    enabled: route.enabled,
    baseEnvironment: route.baseEnvironment,
    environments: new Map(environments),
    actions: actions.filter(({ enabled }) => enabled),
  };
}

function environmentOf(base: RouteConfig, own: RouteConfig, variables: Variables): RouteEnvironment {
  const terms = base === own ? own : inherited(base, own);
  const usual = settingsOf(terms, null);
  const ofMethods = new Map<string, RouteSettings>();
  if (terms.usesMethodConfigs)
    for (const method of Object.keys(terms.methodConfigs ?? {}))
      ofMethods.set(method, settingsOf(terms, overrideOf(terms, method)));
  return {
    name: own.environment,
    enabled: own.enabled,
    variables,
    settings: (method) => ofMethods.get(method) ?? usual,
  };
}
