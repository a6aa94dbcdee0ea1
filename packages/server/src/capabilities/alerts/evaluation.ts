import type { Clock } from '../../kernel/clock.js';
import type { IdSource, Scope } from '../../kernel/ids.js';
import { batchReport, type JobContext, type JobReport } from '../../platform/jobs/definition.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import type { Database } from '../../platform/storage/database.js';
import type { Analytics } from '../analytics/index.js';
import { firingData } from './channels/message.js';
import { type Measured, measure } from './conditions.js';
import { CHANNEL_EVENT } from './deliveries.js';
import type { Alert, AlertStore, Firing } from './store.js';

/** Judges alerts by what is counted; those whose condition holds go off. */
export interface Evaluation {
  run(context: JobContext): Promise<JobReport>;
}

export interface EvaluationDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: AlertStore;
  readonly analytics: Pick<Analytics, 'countedToMs' | 'since'>;
  readonly outbox: Pick<Outbox, 'publish'>;
}

const MINUTE_MS = 60_000;
const READ_AT_ONCE = 100;

export function createEvaluation({ db, clock, ids, store, analytics, outbox }: EvaluationDeps): Evaluation {
  /** Since when calls count, up to which they are counted, and what came of it. */
  async function judged(alert: Alert, countedToMs: number) {
    const { type, condition, routeId, environment, toldToMs } = alert;
    // Whole minutes: the window and what has begun of one more, so that nothing within it is missed.
    const fromMs = Math.max(startOfMinute(countedToMs) - condition.windowMinutes * MINUTE_MS, toldToMs);
    const counts = await analytics.since(alert.scope, fromMs, {
      ...(routeId !== null && { routeId }),
      ...(environment !== null && { environment }),
    });
    return { fromMs, measured: measure(type, condition, counts) };
  }

  /** Firing, cooldown, and the events that tell of it: all or nothing. False where somebody else was first. */
  async function goOff(
    alert: Alert,
    { value, requests }: Measured,
    { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
    context: JobContext,
  ): Promise<boolean> {
    const { scope, id } = alert;
    return db.transaction(async (tx) => {
      await context.fence(tx);
      await tx.lock('alerts', id);
      const current = await store.find(scope, id, tx);
      const nowMs = clock.nowMs();
      // Judged as it was: what has changed is judged in the next run.
      if (!current?.enabled || current.quietUntilMs > nowMs || current.updatedAtMs !== alert.updatedAtMs)
        return false;
      const firing: Firing = {
        ...current,
        id: ids.uuid(),
        alertId: id,
        alertName: current.name,
        value: value!,
        requests,
        windowFromMs: fromMs,
        windowToMs: toMs,
        triggeredAtMs: nowMs,
      };
      await store.insertFiring(tx, firing, current.channels);
      await store.update(tx, {
        ...current,
        quietUntilMs: nowMs + current.cooldownMinutes * MINUTE_MS,
        toldToMs: startOfMinute(toMs) + MINUTE_MS,
        triggerCount: current.triggerCount + 1,
        lastTriggeredAtMs: nowMs,
      });
      await outbox.publish(tx, {
        scope,
        type: 'alert.triggered',
        key: `alert:${id}`,
        payload: firingData(firing),
      });
      for (const channel of current.channels)
        await outbox.publish(tx, {
          scope,
          type: CHANNEL_EVENT,
          // A channel that is away keeps no other waiting.
          key: `alert:${id}:${channel.id}`,
          payload: { alert_id: id, firing_id: firing.id, channel_id: channel.id },
        });
      return true;
    });
  }

  return {
    async run(context) {
      let after = typeof context.payload.after === 'string' ? context.payload.after : null;
      const counted = new Map<string, number>();
      let rows = 0;
      let fired = 0;
      const countedTo = async (scope: Scope) => {
        const name = `${scope.tenantId} ${scope.sandbox}`;
        const known = counted.get(name) ?? (await analytics.countedToMs(scope));
        counted.set(name, known);
        return known;
      };
      for (;;) {
        const alerts = await store.listJudged(clock.nowMs(), after, READ_AT_ONCE);
        for (const alert of alerts) {
          if (rows >= context.batchMax || context.isStopping() || context.signal.aborted)
            return {
              ...batchReport(rows, true),
              details: { fired },
              payload: after === null ? {} : { after },
            };
          const toMs = await countedTo(alert.scope);
          const { fromMs, measured } = await judged(alert, toMs);
          if (measured.isMet && (await goOff(alert, measured, { fromMs, toMs }, context))) fired++;
          rows++;
          after = alert.id;
        }
        if (alerts.length < READ_AT_ONCE) return { rows, details: { fired }, payload: {} };
      }
    },
  };
}

function startOfMinute(ms: number): number {
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS;
}
