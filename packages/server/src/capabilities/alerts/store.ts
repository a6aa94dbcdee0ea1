import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf, type PageOptions } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { Channel } from './channels/channel.js';
import type { Condition } from './conditions.js';
import {
  type AlertRow,
  type AlertType,
  alertTables,
  type ChannelType,
  type DeliveryState,
  type FiringRow,
  type Severity,
} from './tables.js';

/** What a call may write, but for the channels. */
export interface AlertTerms {
  readonly name: string;
  readonly description: string | null;
  readonly type: AlertType;
  readonly severity: Severity;
  readonly condition: Condition;
  /** Null = of all; also of calls that have no route. */
  readonly routeId: string | null;
  readonly environment: string | null;
  readonly cooldownMinutes: number;
  readonly enabled: boolean;
}

export interface Alert extends AlertTerms {
  readonly id: string;
  readonly scope: Scope;
  readonly channels: readonly Channel[];
  readonly credentialsEnvelope: Buffer | null;
  readonly quietUntilMs: number;
  readonly toldToMs: number;
  readonly triggerCount: number;
  readonly lastTriggeredAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface Firing {
  readonly id: string;
  readonly scope: Scope;
  readonly alertId: string;
  readonly alertName: string;
  readonly type: AlertType;
  readonly severity: Severity;
  readonly condition: Condition;
  readonly routeId: string | null;
  readonly environment: string | null;
  readonly value: number;
  readonly requests: number;
  readonly windowFromMs: number;
  readonly windowToMs: number;
  readonly triggeredAtMs: number;
}

/** A firing on its way to a channel. */
export interface Delivery {
  readonly firingId: string;
  readonly channelId: string;
  readonly channelType: ChannelType;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly error: string | null;
  readonly endedAtMs: number | null;
}

export type AlertListOptions = ListOptions<'created_at' | 'name' | 'enabled'>;
export type AlertStore = ReturnType<typeof createAlertStore>;

export function createAlertStore(db: Database) {
  const view = db.view(alertTables);

  return {
    async insert(tx: Transaction, alert: Alert): Promise<void> {
      await view
        .scoped(alert.scope, tx)
        .insertInto('alerts')
        .values({ id: alert.id, created_at: alert.createdAtMs, ...columnsOf(alert) })
        .execute();
    },

    async update(tx: Transaction, alert: Alert): Promise<void> {
      const queries = view.scoped(alert.scope, tx);
      await queries.updateTable('alerts').set(columnsOf(alert)).where('id', '=', alert.id).execute();
    },

    /** Its firings are left to the job. */
    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('alerts').where('id', '=', id).execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<Alert | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('alerts')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && alertOf(row);
    },

    async list(scope: Scope, options: AlertListOptions): Promise<Alert[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('alerts')
        .selectAll()
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(alertOf);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('alerts')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Of all tenants, those that may go off now, behind the one that was judged last. */
    async listJudged(nowMs: number, after: string | null, limit: number): Promise<Alert[]> {
      let query = view
        .system('alerts')
        .selectFrom('alerts')
        .selectAll()
        .where('enabled', '=', 1)
        .where('quiet_until', '<=', nowMs);
      if (after !== null) query = query.where('id', '>', after);
      const rows = await query.orderBy('id').limit(limit).execute();
      return rows.map(alertOf);
    },

    async insertFiring(tx: Transaction, firing: Firing, channels: readonly Channel[]): Promise<void> {
      const queries = view.scoped(firing.scope, tx);
      await queries
        .insertInto('alert_firings')
        .values({
          id: firing.id,
          alert_id: firing.alertId,
          alert_name: firing.alertName,
          type: firing.type,
          severity: firing.severity,
          condition: JSON.stringify(firing.condition),
          route_id: firing.routeId,
          environment: firing.environment,
          value: firing.value,
          requests: firing.requests,
          window_from: firing.windowFromMs,
          window_to: firing.windowToMs,
          triggered_at: firing.triggeredAtMs,
        })
        .execute();
      if (channels.length === 0) return;
      await queries
        .insertInto('alert_deliveries')
        .values(
          channels.map(({ id, type }) => ({
            firing_id: firing.id,
            channel_id: id,
            channel_type: type,
            state: 'waiting' as const,
            attempts: 0,
            error: null,
            ended_at: null,
          })),
        )
        .execute();
    },

    async findFiring(scope: Scope, id: string): Promise<Firing | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('alert_firings')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && firingOf(row);
    },

    async listFirings(
      scope: Scope,
      alertId: string,
      { page, perPage, order }: PageOptions,
    ): Promise<Firing[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('alert_firings')
        .selectAll()
        .where('alert_id', '=', alertId)
        .orderBy('triggered_at', order)
        .orderBy('id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      return rows.map(firingOf);
    },

    async countFirings(scope: Scope, alertId: string): Promise<number> {
      const { total } = await view
        .scoped(scope)
        .selectFrom('alert_firings')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('alert_id', '=', alertId)
        .executeTakeFirstOrThrow();
      return total;
    },

    async deliveriesOf(scope: Scope, firingIds: readonly string[]): Promise<Delivery[]> {
      if (firingIds.length === 0) return [];
      const rows = await view
        .scoped(scope)
        .selectFrom('alert_deliveries')
        .selectAll()
        .where('firing_id', 'in', [...firingIds])
        .orderBy('channel_id')
        .execute();
      return rows.map((row) => ({
        firingId: row.firing_id,
        channelId: row.channel_id,
        channelType: row.channel_type,
        state: row.state,
        attempts: row.attempts,
        error: row.error,
        endedAtMs: row.ended_at,
      }));
    },

    async settle(delivery: Delivery, scope: Scope): Promise<void> {
      await view
        .scoped(scope)
        .updateTable('alert_deliveries')
        .set({
          state: delivery.state,
          attempts: delivery.attempts,
          error: delivery.error,
          ended_at: delivery.endedAtMs,
        })
        .where('firing_id', '=', delivery.firingId)
        .where('channel_id', '=', delivery.channelId)
        .where('state', '=', 'waiting')
        .execute();
    },

    /** Up to `limit` firings from before then, or of alerts that are gone, each with its deliveries; how many. */
    async trim(beforeMs: number, limit: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom('alert_firings as f')
        .select(['f.tenant_id', 'f.sandbox', 'f.id'])
        .where((eb) =>
          eb.or([
            eb('f.triggered_at', '<', beforeMs),
            eb.not(
              eb.exists(
                eb
                  .selectFrom('alerts as a')
                  .select('a.id')
                  .whereRef('a.tenant_id', '=', 'f.tenant_id')
                  .whereRef('a.sandbox', '=', 'f.sandbox')
                  .whereRef('a.id', '=', 'f.alert_id'),
              ),
            ),
          ]),
        )
        .limit(limit)
        .execute();
      for (const { tenant_id, sandbox, id } of rows) {
        const scoped = view.scoped({ tenantId: tenant_id as TenantId, sandbox: sandbox === 1 });
        await scoped.deleteFrom('alert_deliveries').where('firing_id', '=', id).execute();
        await scoped.deleteFrom('alert_firings').where('id', '=', id).execute();
      }
      return rows.length;
    },
  };
}

function columnsOf(alert: Alert) {
  return {
    name: alert.name,
    description: alert.description,
    type: alert.type,
    severity: alert.severity,
    condition: JSON.stringify(alert.condition),
    route_id: alert.routeId,
    environment: alert.environment,
    cooldown_minutes: alert.cooldownMinutes,
    channels: JSON.stringify(alert.channels),
    credentials_envelope: alert.credentialsEnvelope,
    enabled: Number(alert.enabled),
    quiet_until: alert.quietUntilMs,
    told_to: alert.toldToMs,
    trigger_count: alert.triggerCount,
    last_triggered_at: alert.lastTriggeredAtMs,
    updated_at: alert.updatedAtMs,
  };
}

function alertOf(row: Selectable<AlertRow>): Alert {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    description: row.description,
    type: row.type,
    severity: row.severity,
    condition: JSON.parse(row.condition) as Condition,
    routeId: row.route_id,
    environment: row.environment,
    cooldownMinutes: row.cooldown_minutes,
    channels: JSON.parse(row.channels) as Channel[],
    credentialsEnvelope: row.credentials_envelope,
    enabled: row.enabled === 1,
    quietUntilMs: row.quiet_until,
    toldToMs: row.told_to,
    triggerCount: row.trigger_count,
    lastTriggeredAtMs: row.last_triggered_at,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function firingOf(row: Selectable<FiringRow>): Firing {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    alertId: row.alert_id,
    alertName: row.alert_name,
    type: row.type,
    severity: row.severity,
    condition: JSON.parse(row.condition) as Condition,
    routeId: row.route_id,
    environment: row.environment,
    value: row.value,
    requests: row.requests,
    windowFromMs: row.window_from,
    windowToMs: row.window_to,
    triggeredAtMs: row.triggered_at,
  };
}
