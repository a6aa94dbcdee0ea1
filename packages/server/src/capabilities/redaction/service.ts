import type { Clock } from '../../kernel/clock.js';
import { notFound, validationError, validationErrors } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { createScopeCache } from '../../platform/cache/scope-cache.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { RouteNames } from '../routes/index.js';
import { ruleEntry } from './audit.js';
import type { RuleSpec } from './engine/rule.js';
import { tooManyRules } from './errors.js';
import { PLAN_GENERATIONS, type Plans, plansOf } from './plans.js';
import { createRegexCheck } from './regex/regex-check.js';
import { createRegexPool } from './regex/regex-pool.js';
import { type RegexRules, RegexSearch } from './regex/regex-search.js';
import { createRedactionStore, type RedactionRule, type RuleListOptions } from './store.js';
import { runTrial, type TrialResult } from './trial.js';

export type RuleInput = Omit<RuleSpec, 'id'>;

/** A dry run of rules on a sample. */
export interface Trial {
  /** Text, or any JSON value. */
  readonly sample: unknown;
  readonly contentType: string | undefined;
  /** In place of the stored ones. */
  readonly rules: readonly RuleInput[] | undefined;
}

export interface Redaction {
  create(caller: Caller, input: RuleInput): Promise<RedactionRule>;
  list(caller: Caller, options: RuleListOptions): Promise<Page<RedactionRule>>;
  get(caller: Caller, id: string): Promise<RedactionRule>;
  update(caller: Caller, id: string, changes: Partial<RuleInput>): Promise<RedactionRule>;
  delete(caller: Caller, id: string): Promise<void>;
  /** What rules make of a sample; nothing is stored. */
  test(caller: Caller, trial: Trial): Promise<TrialResult>;
  planFor<Mode extends keyof Plans>(scope: Scope, mode: Mode): Promisable<Plans[Mode]>;
  /** Ends the threads that match regexes; bodies that wait for them are not passed on. */
  close(): Promise<void>;
}

export interface RedactionDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** Names of those of the ids that are routes of the tenant and mode. */
  readonly routeNames: RouteNames;
  readonly cacheCounts?: CacheCounts;
}

export function createRedaction(deps: RedactionDeps): Redaction {
  const { db, clock, ids, generations, auditLogs, routeNames } = deps;
  const store = createRedactionStore(db);
  const pool = createRegexPool({ clock });
  const check = createRegexCheck(clock);
  const newSearch = (rules: RegexRules) => new RegexSearch(rules, { pool, clock });

  async function getRule(scope: Scope, id: string, tx?: Transaction): Promise<RedactionRule> {
    const rule = isUuid(id) ? await store.find(scope, id, tx) : undefined;
    if (!rule) throw notFound('Redaction rule');
    return rule;
  }

  /** Before any transaction: it waits for a thread. */
  async function requireRegexes(rules: readonly Partial<RuleInput>[], nameOf: (index: number) => string) {
    const regexes = rules.flatMap(({ match }, index) =>
      match?.type === 'regex' ? [{ name: nameOf(index), pattern: match.value }] : [],
    );
    const fields = new Map<string, string[]>();
    for (const [i, problem] of (await check(regexes.map(({ pattern }) => pattern))).entries())
      if (problem !== null) fields.set(regexes[i]!.name, [problem]);
    if (fields.size > 0) throw validationErrors(fields);
  }

  /** Held, so that none is deleted unseen. */
  async function requireRoutes(tx: Transaction, scope: Scope, ids: readonly string[]): Promise<void> {
    for (const id of [...ids].sort()) await tx.lock('routes', id);
    const known = await routeNames(scope, ids, tx);
    const fields = new Map<string, string[]>();
    for (const [at, id] of ids.entries())
      if (!known.has(id)) fields.set(`route_ids[${at}]`, ['names no route of this mode']);
    if (fields.size > 0) throw validationErrors(fields);
  }

  const plans = createScopeCache({
    name: PLAN_GENERATIONS,
    generations,
    counts: deps.cacheCounts,
    load: async (scope) => plansOf(await store.listEnabled(scope), newSearch),
  });

  return {
    async create(caller, input) {
      const { scope } = caller.principal;
      requireEffect(input);
      await requireRegexes([input], () => 'match.value');
      const nowMs = clock.nowMs();
      const rule: RedactionRule = { ...input, id: ids.uuid(), createdAtMs: nowMs, updatedAtMs: nowMs };
      await db.transaction(async (tx) => {
        await requireRoutes(tx, scope, rule.routeIds ?? []);
        const rulesMax = LIMITS.redactionRulesMax;
        if ((await store.count(scope, tx)) >= rulesMax) throw tooManyRules(rulesMax);
        await store.insert(tx, scope, rule);
        await auditLogs.record(tx, actorOf(caller), ruleEntry('redaction_rule.create', rule));
        await plans.changed(tx, scope);
        await recordAnswer(tx, caller, rule);
      });
      return rule;
    },

    async list(caller, options) {
      const { scope } = caller.principal;
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: (caller, id) => getRule(caller.principal.scope, id),

    async update(caller, id, changes) {
      const { scope } = caller.principal;
      const { id: rowId } = await getRule(scope, id);
      await requireRegexes([changes], () => 'match.value');
      return db.transaction(async (tx) => {
        // Before the rule, as whoever deletes a route has it.
        await requireRoutes(tx, scope, changes.routeIds ?? []);
        await tx.lock('redaction_rules', rowId);
        const rule = { ...(await getRule(scope, rowId, tx)), ...changes, updatedAtMs: clock.nowMs() };
        requireEffect(rule);
        await store.update(tx, scope, rule);
        const entry = ruleEntry('redaction_rule.update', rule, changes);
        await auditLogs.record(tx, actorOf(caller), entry);
        await plans.changed(tx, scope);
        await recordAnswer(tx, caller, rule);
        return rule;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const rule = await getRule(scope, id, tx);
        await store.delete(tx, scope, rule.id);
        await auditLogs.record(tx, actorOf(caller), ruleEntry('redaction_rule.delete', rule));
        await plans.changed(tx, scope);
        await recordAnswer(tx, caller, undefined);
      });
    },

    async test(caller, { sample, contentType, rules }) {
      await requireRegexes(rules ?? [], (index) => `rules[${index}].match.value`);
      const specs =
        rules
          ?.map((rule, index) => ({ ...rule, id: String(index) }))
          .sort((a, b) => a.priority - b.priority) ?? (await store.listEnabled(caller.principal.scope));
      return runTrial(specs, sample, contentType, newSearch);
    },

    planFor<Mode extends keyof Plans>(scope: Scope, mode: Mode): Promisable<Plans[Mode]> {
      const ofModes = plans.get(scope);
      return isPending(ofModes) ? ofModes.then((loaded) => loaded[mode]) : ofModes[mode];
    },

    close: () => pool.close(),
  };
}

function requireEffect(rule: RuleInput): void {
  if (rule.routeIds !== null && rule.proxyModes?.includes('route') === false)
    throw validationError('proxy_modes', 'must have "route" beside route_ids');
  // Log rows hold no bodies and no headers: only what is found in any text can be found in them.
  if (rule.target === 'log' && rule.match.type !== 'builtin') {
    throw validationError(
      'target',
      `a ${rule.match.type} rule finds nothing in log rows; only builtin rules do`,
    );
  }
}
