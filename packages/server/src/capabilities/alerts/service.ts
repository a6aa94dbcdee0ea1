import type { Clock } from '../../kernel/clock.js';
import { notFound, rateLimitExceeded } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import { wireName } from '../../kernel/wire-name.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { PageOptions } from '../../platform/http/pagination.js';
import type { Page } from '../../platform/http/route.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TargetCheck } from '../egress-allowlist/index.js';
import type { Plans } from '../plans/index.js';
import { alertEntry, alertUpdateAction } from './audit.js';
import { type GivenChannel, type WrittenChannels, writeChannels } from './channels/channel.js';
import type { SealedCredentials } from './channels/sealed.js';
import { type ChannelSender, FEATURE_OF } from './channels/sender.js';
import { conditionDue, type GivenCondition, readCondition } from './conditions.js';
import { changedMeanwhile, smsNotConfigured, tooManyAlerts } from './errors.js';
import type { Alert, AlertListOptions, AlertStore, AlertTerms, Delivery, Firing } from './store.js';
import type { ChannelType } from './tables.js';

export interface NewAlert extends Omit<AlertTerms, 'condition'> {
  readonly condition: GivenCondition;
  readonly channels: readonly GivenChannel[];
}

/** What is absent stays. */
export type AlertChanges = Partial<NewAlert>;

export interface FiringWithDeliveries extends Firing {
  readonly deliveries: readonly Delivery[];
}

export interface TestedChannel {
  readonly channelId: string;
  readonly type: ChannelType;
  /** Null = it has arrived. */
  readonly error: string | null;
}

export interface AlertRecords {
  create(caller: Caller, input: NewAlert): Promise<Alert>;
  list(caller: Caller, options: AlertListOptions): Promise<Page<Alert>>;
  get(caller: Caller, id: string): Promise<Alert>;
  update(caller: Caller, id: string, changes: AlertChanges): Promise<Alert>;
  delete(caller: Caller, id: string): Promise<void>;
  firings(caller: Caller, id: string, options: PageOptions): Promise<Page<FiringWithDeliveries>>;
  /** One try of each channel, here and now; no firing, and no event. */
  test(caller: Caller, id: string): Promise<readonly TestedChannel[]>;
}

export interface AlertRecordsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: AlertStore;
  readonly sealed: SealedCredentials;
  readonly sender: ChannelSender;
  readonly targets: Pick<TargetCheck, 'check'>;
  readonly plans: Pick<Plans, 'requireFeature'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** Whether the operator has configured a provider. */
  readonly hasSms: boolean;
  /** Something may be to be removed. */
  wake(): void;
}

export function createAlertRecords(deps: AlertRecordsDeps): AlertRecords {
  const { db, clock, ids, store, sealed, sender, targets, plans, auditLogs, hasSms } = deps;
  const tests = createCountWindows(clock, { windowMs: 60_000, namesMax: 10_000 });

  async function find(scope: Scope, id: string, tx?: Transaction): Promise<Alert> {
    const alert = isUuid(id) ? await store.find(scope, id.toLowerCase(), tx) : undefined;
    if (!alert) throw notFound('Alert');
    return alert;
  }

  /** Alerts are of plans that have mail at least, and each channel of those that have it. */
  async function requireChannels(principal: Principal, { channels, fresh }: WrittenChannels): Promise<void> {
    const features = new Set(['mail_alerts' as const, ...channels.map(({ type }) => FEATURE_OF[type])]);
    for (const feature of features) await plans.requireFeature(principal.scope.tenantId, feature);
    const sms = channels.findIndex(({ type }) => type === 'sms');
    if (sms !== -1 && !hasSms) throw smsNotConfigured(`channels[${sms}].type`);
    for (const { field, url } of fresh) await targets.check(principal, url, field);
  }

  /** The channels that a call makes of those of the alert; opened, judged and sealed before the transaction. */
  async function channelsOf(principal: Principal, alert: Alert, given: readonly GivenChannel[]) {
    const credentials = await sealed.open(alert.scope, alert.id, alert.credentialsEnvelope);
    const written = writeChannels(given, { ...alert, credentials: credentials.reveal() }, ids);
    await requireChannels(principal, written);
    return {
      channels: written.channels,
      credentialsEnvelope: await sealed.seal(alert.scope, alert.id, written.credentials),
    };
  }

  function changed(before: Alert, { channels: _, condition, ...terms }: AlertChanges): AlertTerms {
    const type = terms.type ?? before.type;
    if (condition === undefined && type !== before.type) throw conditionDue();
    return {
      ...before,
      ...terms,
      condition: condition === undefined ? before.condition : readCondition(type, condition),
    };
  }

  /** A test passes the cooldown, and any address may be mailed or texted. */
  function admitTest({ tenantId }: Scope): void {
    const window = tests(tenantId);
    if (window.count >= LIMITS.alertTestsPerMinuteMax)
      throw rateLimitExceeded(`At most ${LIMITS.alertTestsPerMinuteMax} tests of alerts a minute`, {
        retryAfterSeconds: Math.max(1, Math.ceil(window.leftMs() / 1_000)),
      });
    window.count++;
  }

  return {
    async create(caller, { channels: given, condition, ...terms }) {
      const { principal } = caller;
      const nowMs = clock.nowMs();
      const empty: Alert = {
        ...terms,
        condition: readCondition(terms.type, condition),
        id: ids.uuid(),
        scope: principal.scope,
        channels: [],
        credentialsEnvelope: null,
        quietUntilMs: 0,
        toldToMs: 0,
        triggerCount: 0,
        lastTriggeredAtMs: null,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      const alert = { ...empty, ...(await channelsOf(principal, empty, given)) };
      return db.transaction(async (tx) => {
        if ((await store.count(alert.scope, tx)) >= LIMITS.alertsMax) throw tooManyAlerts();
        await store.insert(tx, alert);
        await auditLogs.record(tx, actorOf(caller), alertEntry('alert.create', alert));
        await recordAnswer(tx, caller, alert);
        return alert;
      });
    },

    async list({ principal: { scope } }, options) {
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: (caller, id) => find(caller.principal.scope, id),

    async update(caller, id, changes) {
      const { principal } = caller;
      const former = await find(principal.scope, id);
      changed(former, changes);
      const { channels: given } = changes;
      const channels = given === undefined ? {} : await channelsOf(principal, former, given);
      return db.transaction(async (tx) => {
        await tx.lock('alerts', former.id);
        const before = await find(principal.scope, former.id, tx);
        if (given !== undefined && !isSameEnvelope(before, former)) throw changedMeanwhile();
        const alert: Alert = {
          ...before,
          ...changed(before, changes),
          ...channels,
          updatedAtMs: clock.nowMs(),
        };
        await store.update(tx, alert);
        const sent = Object.keys(changes);
        const entry = alertEntry(alertUpdateAction(alert, sent), alert, { changed: sent.map(wireName) });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, alert);
        return alert;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const alert = await find(scope, id, tx);
        await store.delete(tx, scope, alert.id);
        tx.afterCommit(deps.wake);
        await auditLogs.record(tx, actorOf(caller), alertEntry('alert.delete', alert));
        await recordAnswer(tx, caller, undefined);
      });
    },

    async firings(caller, id, options) {
      const { scope, id: alertId } = await find(caller.principal.scope, id);
      const [rows, total] = await Promise.all([
        store.listFirings(scope, alertId, options),
        store.countFirings(scope, alertId),
      ]);
      const deliveries = await store.deliveriesOf(
        scope,
        rows.map((row) => row.id),
      );
      return {
        rows: rows.map((row) => ({
          ...row,
          deliveries: deliveries.filter(({ firingId }) => firingId === row.id),
        })),
        total,
        page: options.page,
        perPage: options.perPage,
      };
    },

    async test(caller, id) {
      const alert = await find(caller.principal.scope, id);
      admitTest(alert.scope);
      const firing = sampleOf(alert, ids.uuid(), clock.nowMs());
      const results = await Promise.all(
        alert.channels.map(async (channel) => ({
          channelId: channel.id,
          type: channel.type,
          error: await sender.send({ alert, channel, firing, isTest: true }),
        })),
      );
      await db.transaction((tx) => recordAnswer(tx, caller, results));
      return results;
    },
  };
}

function isSameEnvelope(one: Alert, other: Alert): boolean {
  if (JSON.stringify(one.channels) !== JSON.stringify(other.channels)) return false;
  const [a, b] = [one.credentialsEnvelope, other.credentialsEnvelope];
  return a === null || b === null ? a === b : a.equals(b);
}

/** As if it had just gone off. */
function sampleOf(alert: Alert, id: string, nowMs: number): Firing {
  const { condition } = alert;
  const value = condition.threshold ?? condition.thresholdMs! + 1;
  return {
    ...alert,
    id,
    alertId: alert.id,
    alertName: alert.name,
    value,
    requests: condition.minRequests ?? value,
    windowFromMs: nowMs - condition.windowMinutes * 60_000,
    windowToMs: nowMs,
    triggeredAtMs: nowMs,
  };
}
