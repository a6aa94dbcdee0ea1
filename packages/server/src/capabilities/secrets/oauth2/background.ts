import type { Clock } from '../../../kernel/clock.js';
import { isAppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { ConnectionStore, DueConnection } from './connection-store.js';
import type { Renewals } from './renewals.js';
import type { OAuth2ConfigStore } from './store.js';

export interface BackgroundDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly configs: Pick<OAuth2ConfigStore, 'find'>;
  readonly connections: Pick<ConnectionStore, 'due' | 'find' | 'putOff'>;
  readonly renewals: Pick<Renewals, 'renew'>;
}

/** Endpoints that are asked at once, and those of one tenant: one that hangs holds nobody else up. */
const AT_ONCE = 16;
const AT_ONCE_OF_TENANT = 4;

/** Renews access tokens before anybody has to wait for it. */
export function createBackground(deps: BackgroundDeps) {
  const { clock, logger, configs, connections, renewals } = deps;

  async function renewOne(due: DueConnection): Promise<void> {
    const { scope, secretId, environment } = due;
    try {
      const config = await configs.find(scope, secretId);
      const connection = await connections.find(scope, secretId, environment);
      const isDue = connection?.renewAtMs != null && connection.renewAtMs <= clock.nowMs();
      if (config && connection && isDue) await renewals.renew(scope, config, connection);
    } catch (error) {
      // A tenant that is sealed, for one: its turn comes again.
      const level = isAppError(error, 'tenant_sealed') ? 'debug' : 'warn';
      logger[level]({ err: error, secret_id: secretId }, 'an OAuth2 secret could not be renewed');
      await connections.putOff(scope, { secretId, environment }, clock.nowMs() + LIMITS.sealedRetryMs);
    }
  }

  return {
    async renewDue({
      batchMax,
      isStopping,
    }: Pick<JobContext, 'batchMax' | 'isStopping'>): Promise<JobReport> {
      const rows = await connections.due(clock.nowMs(), batchMax);
      const waiting = [...rows];
      const busy = new Map<string, number>();
      const next = () => {
        const i = waiting.findIndex(({ scope }) => (busy.get(scope.tenantId) ?? 0) < AT_ONCE_OF_TENANT);
        return i === -1 ? undefined : waiting.splice(i, 1)[0];
      };
      let done = 0;
      const place = async () => {
        for (let due = next(); due && !isStopping(); due = next()) {
          const { tenantId } = due.scope;
          busy.set(tenantId, (busy.get(tenantId) ?? 0) + 1);
          await renewOne(due);
          busy.set(tenantId, (busy.get(tenantId) ?? 0) - 1);
          done++;
        }
      };
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, rows.length) }, place));
      return rows.length === batchMax ? { rows: done, againInMs: 0 } : { rows: done };
    },
  };
}
