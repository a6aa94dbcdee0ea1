import { canonicalJson } from '../../../kernel/canonical-json.js';
import { isoTime } from '../../../kernel/clock.js';
import type { Caller } from '../../../kernel/principal.js';
import { sha256Hex } from '../../../platform/crypto/hashing.js';
import { withoutRootDot } from '../../../platform/egress/name-policy.js';
import type { Environments } from '../../environments/index.js';
import type { InterceptedRoutes } from '../../routes/index.js';
import { unknownEnvironment } from '../errors.js';

/** A target whose calls an SDK sends to the route. */
export interface ManifestEntry {
  readonly host: string;
  readonly base_path: string;
  readonly slug: string | null;
  readonly route_id: string;
  readonly requires_clients: boolean;
  readonly allowed_methods: readonly string[] | null;
  /** Absent: no other route has the same host and base path. */
  readonly ambiguous?: true;
  readonly updated_at: string;
}

export interface Manifest {
  /** Of all below, and of nothing else: the same routes have the same one. */
  readonly version: string;
  readonly environment: string;
  readonly sandbox: boolean;
  readonly routes: readonly ManifestEntry[];
}

/** What SDKs divert to routes without their code saying so (dataplane.md §3.1). */
export interface InterceptManifest {
  /** Null: the default environment. 400 of one that there is not. */
  of(caller: Caller, environment: string | null): Promise<Manifest>;
}

export interface InterceptManifestDeps {
  readonly environments: Pick<Environments, 'find' | 'defaultOf'>;
  readonly intercepted: InterceptedRoutes;
}

export function createInterceptManifest(deps: InterceptManifestDeps): InterceptManifest {
  const { environments, intercepted } = deps;
  return {
    async of({ principal: { scope } }, named) {
      if (named !== null && !(await environments.find(scope, named))) throw unknownEnvironment(named);
      const environment = named ?? (await environments.defaultOf(scope)).name;
      const routes = await intercepted.of(scope, environment);
      const entries = marked(
        routes.map((route): ManifestEntry => {
          const { hostname, pathname } = new URL(route.targetBaseUrl);
          return {
            host: withoutRootDot(hostname.toLowerCase()),
            base_path: pathname.replace(/(?<=.)\/+$/, ''),
            slug: route.slug,
            route_id: route.id,
            requires_clients: route.requiresClients,
            allowed_methods: route.allowedMethods,
            updated_at: isoTime(route.updatedAtMs),
          };
        }),
      ).sort(inOrder);
      const content = { environment, sandbox: scope.sandbox, routes: entries };
      return { version: `sha256:${sha256Hex(canonicalJson(content))}`, ...content };
    },
  };
}

/** Of several with one target an SDK cannot know which is meant. */
function marked(entries: readonly ManifestEntry[]): ManifestEntry[] {
  const counts = new Map<string, number>();
  const targetOf = ({ host, base_path }: ManifestEntry) => `${host}${base_path}`;
  for (const entry of entries) counts.set(targetOf(entry), (counts.get(targetOf(entry)) ?? 0) + 1);
  return entries.map((entry) => (counts.get(targetOf(entry)) === 1 ? entry : { ...entry, ambiguous: true }));
}

/** By host, the longest base path, slug; the id last, so that the order is one. */
function inOrder(a: ManifestEntry, b: ManifestEntry): number {
  return (
    byText(a.host, b.host) ||
    b.base_path.length - a.base_path.length ||
    byText(a.base_path, b.base_path) ||
    byText(a.slug ?? '', b.slug ?? '') ||
    byText(a.route_id, b.route_id)
  );
}

/** By code units, on every machine alike. */
function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
