import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { ScopeCache } from '../../platform/cache/scope-cache.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { createRouteActionStore } from './actions/store.js';
import type { RouteDetail, RouteReading } from './aggregate.js';
import { BASE_DEFAULTS, CONFIG_WIRE_NAMES, type ConfigTerms, type RouteConfig } from './config.js';
import type { RouteConfigStore } from './config-store.js';
import { changedMeanwhile } from './errors.js';
import type { RouteJudge } from './judging.js';
import type { RouteStore } from './store.js';

/** What is absent stays as it is; null is a value. */
export type SentTerms = Partial<ConfigTerms> & { readonly enabled?: boolean };

/** What other nouns know of rows that a configuration names by their id. */
export interface RouteReferences {
  isCertificate(scope: Scope, secretId: string, tx: Transaction): Promise<boolean>;
  isEgressServer(scope: Scope, serverId: string, tx: Transaction): Promise<boolean>;
}

export interface RouteWritingDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly reading: RouteReading;
  readonly store: RouteStore;
  readonly configStore: RouteConfigStore;
  readonly judge: RouteJudge;
  readonly references: RouteReferences;
  readonly table: Pick<ScopeCache<unknown>, 'changed'>;
}

/** Times that a change which others have overtaken is judged again. */
const TRIES = 3;

export function createRouteWriting(deps: RouteWritingDeps) {
  const { db, clock, reading, store, configStore, judge, references, table } = deps;
  const actions = createRouteActionStore(db);

  /** 400 of a certificate or a server that the mode has not. */
  async function requireReferences(
    tx: Transaction,
    scope: Scope,
    { mtlsCertificateId, egressServerId }: SentTerms,
  ): Promise<void> {
    if (mtlsCertificateId && !(await references.isCertificate(scope, mtlsCertificateId, tx)))
      throw validationError('mtls_certificate_id', 'names no secret of the type certificate of this mode');
    if (egressServerId && !(await references.isEgressServer(scope, egressServerId, tx)))
      throw validationError('egress_server_id', 'names no egress server of this mode');
  }

  /**
   * Judges what the route will be, and writes it unless others have changed it meanwhile: then it is judged again. `make`
   * gives the configurations as they will be, those that stay among them.
   */
  async function change<T>(
    caller: Caller,
    reference: string,
    sent: SentTerms,
    make: (before: RouteDetail) => readonly RouteConfig[],
    write: (tx: Transaction, before: RouteDetail, after: readonly RouteConfig[]) => Promise<T>,
  ): Promise<T> {
    const { scope } = caller.principal;
    for (let tries = 0; tries < TRIES; tries++) {
      const judged = await reading.detail(scope, reference);
      const after = make(judged);
      const { id, baseEnvironment } = judged.route;
      // One that is made after this makes the version another.
      const ofRoute = await actions.ofRoute(scope, id);
      await judge.check(caller, baseEnvironment, judged.configs, after, ofRoute);
      const written = await db.transaction(async (tx) => {
        const before = await reading.lock(tx, scope, id);
        if (before.route.version !== judged.route.version) return null;
        await requireReferences(tx, scope, sent);
        await writeConfigs(tx, before.configs, after);
        return { result: await write(tx, before, after) };
      });
      if (written) return written.result;
    }
    throw changedMeanwhile();
  }

  async function writeConfigs(
    tx: Transaction,
    before: readonly RouteConfig[],
    after: readonly RouteConfig[],
  ): Promise<void> {
    for (const config of after) {
      const former = before.find(({ id }) => id === config.id);
      if (!former) await configStore.insert(tx, config);
      else if (!isSame(former, config)) await configStore.update(tx, config);
    }
  }

  return {
    requireReferences,
    change,

    /** The next version of a route, which every cache takes for another. */
    async touch(
      tx: Transaction,
      { route }: Pick<RouteDetail, 'route'>,
      changes: { name?: string; enabled?: boolean } = {},
    ) {
      const after = { ...route, ...changes, version: route.version + 1, updatedAtMs: clock.nowMs() };
      await store.update(tx, after);
      await table.changed(tx, route.scope);
      return after;
    },
  };
}

/** What was sent, with the switches that follow from it where they are not sent themselves. */
export function withSwitches(sent: SentTerms): SentTerms {
  const { allowedMethods, methodConfigs } = sent;
  return {
    ...(allowedMethods !== undefined && { restrictsMethods: switchOf(allowedMethods) }),
    ...(methodConfigs !== undefined && { usesMethodConfigs: switchOf(methodConfigs) }),
    ...sent,
  };
}

/** On with what there is, off with what is empty, and inherited with what is. */
function switchOf(value: object | null): boolean | null {
  return value === null ? null : Object.keys(value).length > 0;
}

/** Of the base, what is null is what a route does by default. */
export function asBase<T extends ConfigTerms>(terms: T): T {
  const missing = Object.entries(BASE_DEFAULTS).filter(
    ([name, value]) => value !== null && terms[name as keyof ConfigTerms] === null,
  );
  return { ...terms, ...Object.fromEntries(missing) };
}

export function requireTarget(target: string | null): void {
  if (target === null)
    throw validationError(
      CONFIG_WIRE_NAMES.targetBaseUrl,
      'is due in the base environment, from which the others inherit',
    );
}

/** Names of what was sent, as they are on the wire. */
export function sentNames(sent: SentTerms): string[] {
  return Object.keys(sent).map((name) =>
    name === 'enabled' ? name : CONFIG_WIRE_NAMES[name as keyof ConfigTerms],
  );
}

function isSame(one: RouteConfig, other: RouteConfig): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
