import type { Clock } from '../../kernel/clock.js';
import { notFound, validationError, validationErrors } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { ProxyMode } from '../../kernel/proxy-mode.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { createScopeCache } from '../../platform/cache/scope-cache.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { ruleEntry } from './audit.js';
import type { EchoGuard } from './echo/echo-guard.js';
import { type RedactedHead, redactHead, redactLogText } from './engine/plan.js';
import type { RuleSpec } from './engine/rule.js';
import { RuleSet } from './engine/selection.js';
import { tooManyRules } from './errors.js';
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

/** The rules that bear on one call. */
export interface RedactionPlan {
  /** The upstream is to be asked for `identity`, so that the body can be read. */
  readonly hasBodyRules: boolean;
  /**
   * The head as it may leave, and what the body has to pass through. Throws `redaction_failed`, and the transforms fail
   * with it, where a rule covers what cannot be inspected.
   */
  head(
    status: number,
    rawHeaders: readonly string[],
    method?: string,
    guard?: EchoGuard | null,
  ): RedactedHead;
  /** Text of a log row as it may be stored: rules whose target is the log. */
  logText(text: string): string;
}

export interface Redaction {
  create(caller: Caller, input: RuleInput): Promise<RedactionRule>;
  list(caller: Caller, options: RuleListOptions): Promise<Page<RedactionRule>>;
  get(caller: Caller, id: string): Promise<RedactionRule>;
  update(caller: Caller, id: string, changes: Partial<RuleInput>): Promise<RedactionRule>;
  delete(caller: Caller, id: string): Promise<void>;
  /** What rules make of a sample; nothing is stored. */
  test(caller: Caller, trial: Trial): Promise<TrialResult>;
  planFor(scope: Scope, mode: ProxyMode): Promisable<RedactionPlan>;
  /** Ends the threads that match regexes; bodies that wait for them are not passed on. */
  close(): Promise<void>;
}

export interface RedactionDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly cacheCounts?: CacheCounts;
}

export function createRedaction(deps: RedactionDeps): Redaction {
  const { db, clock, ids, generations, auditLogs } = deps;
  const store = createRedactionStore(db);
  const pool = createRegexPool({ clock });
  const check = createRegexCheck(clock);
  const newSearch = (rules: RegexRules) => new RegexSearch(rules, { pool, clock });
  const planOf = (rules: RuleSet): RedactionPlan => ({
    hasBodyRules: rules.hasBodyRules,
    head(status, rawHeaders, method = 'GET', guard = null) {
      const options = { onRedacted: () => {}, newSearch, guard };
      return redactHead(rules, { method, status, rawHeaders }, options);
    },
    logText: (text) => redactLogText(rules, text),
  });

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

  async function load(scope: Scope): Promise<Readonly<Record<ProxyMode, RedactionPlan>>> {
    const rules = await store.listEnabled(scope);
    return { route: planOf(new RuleSet(rules, 'route')), ephemeral: planOf(new RuleSet(rules, 'ephemeral')) };
  }

  const plans = createScopeCache({ name: 'redaction', generations, counts: deps.cacheCounts, load });

  return {
    async create(caller, input) {
      const { scope } = caller.principal;
      requireEffect(input);
      await requireRegexes([input], () => 'match.value');
      const nowMs = clock.nowMs();
      const rule: RedactionRule = { ...input, id: ids.uuid(), createdAtMs: nowMs, updatedAtMs: nowMs };
      await db.transaction(async (tx) => {
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

    planFor(scope, mode) {
      const ofModes = plans.get(scope);
      return isPending(ofModes) ? ofModes.then((loaded) => loaded[mode]) : ofModes[mode];
    },

    close: () => pool.close(),
  };
}

/** Log rows hold no bodies and no headers: only what is found in any text can be found in them. */
function requireEffect(rule: RuleInput): void {
  if (rule.target === 'log' && rule.match.type !== 'builtin') {
    throw validationError(
      'target',
      `a ${rule.match.type} rule finds nothing in log rows; only builtin rules do`,
    );
  }
}
