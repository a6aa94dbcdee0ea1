import { FEATURES, type Feature, featureOf } from './features.js';

export interface ParityDeps {
  /** Variables that switch a feature, and whether they are on. */
  readonly switches: Readonly<Record<string, boolean>>;
}

export interface ParityRow extends Feature {
  /** `off`: there, and switched off. `not_built`: nothing of it is in this version. */
  readonly state: 'available' | 'off' | 'not_built' | 'hidden';
  readonly endpoints: number;
}

/** What this server has, as it runs, beside what the product is elsewhere (kms-admin.md §4). */
export interface Parity {
  /** Told of every endpoint that is registered, as `GET /healthz`. */
  add(method: string, path: string): void;
  rows(): readonly ParityRow[];
}

/** Without endpoints of their own, and there. */
const WITHOUT_ENDPOINTS = new Set(['first_start']);

export function createParity({ switches }: ParityDeps): Parity {
  const endpoints = new Set<string>();

  function stateOf({ id, parity, variable }: Feature, count: number): ParityRow['state'] {
    if (parity === 'cloud_only') return 'hidden';
    if (variable !== undefined) return switches[variable] ? 'available' : 'off';
    return count > 0 || WITHOUT_ENDPOINTS.has(id) ? 'available' : 'not_built';
  }

  return {
    add(method, path) {
      // The framework answers HEAD by the handler of GET.
      if (method !== 'HEAD') endpoints.add(`${method} ${path}`);
    },

    rows() {
      const counts = new Map<Feature | undefined, number>();
      for (const endpoint of endpoints) {
        const feature = featureOf(endpoint.slice(endpoint.indexOf(' ') + 1));
        counts.set(feature, (counts.get(feature) ?? 0) + 1);
      }
      return FEATURES.map((feature) => {
        const count = counts.get(feature) ?? 0;
        return { ...feature, state: stateOf(feature, count), endpoints: count };
      });
    },
  };
}
