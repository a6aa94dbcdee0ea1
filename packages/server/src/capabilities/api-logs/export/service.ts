import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, isoTime } from '../../../kernel/clock.js';
import { rateLimitExceeded } from '../../../kernel/errors.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { TextStream } from '../../../platform/http/route.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { Plans } from '../../plans/index.js';
import type { ApiLogFilter } from '../filter.js';
import type { ApiLogs } from '../service.js';
import { csvForm } from './csv.js';

export interface LogExportsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly plans: Pick<Plans, 'requireFeature'>;
  readonly apiLogs: Pick<ApiLogs, 'list' | 'cursorAt'>;
}

export interface LogExports {
  /** The rows of calls that have come in by then; the act is recorded before the first is sent. */
  csv(
    caller: Caller,
    filter: ApiLogFilter,
    asked: Record<string, unknown>,
    withIdentity: boolean,
  ): Promise<TextStream>;
}

const ROWS_AT_ONCE = 500;
/** A reader may take as long as it likes for an answer, which holds no more than its rows at hand. */
const OPEN_PER_TENANT_MAX = 4;
const RETRY_AFTER_SECONDS = 10;

export function createLogExports({ db, clock, auditLogs, plans, apiLogs }: LogExportsDeps): LogExports {
  const open = new Map<string, number>();

  function take(tenantId: string): () => void {
    const others = open.get(tenantId) ?? 0;
    if (others >= OPEN_PER_TENANT_MAX)
      throw rateLimitExceeded(`${OPEN_PER_TENANT_MAX} exports are being read already`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    open.set(tenantId, others + 1);
    return () => {
      const left = open.get(tenantId)! - 1;
      if (left === 0) open.delete(tenantId);
      else open.set(tenantId, left);
    };
  }

  return {
    async csv(caller, filter, asked, withIdentity) {
      const { scope } = caller.principal;
      await plans.requireFeature(scope.tenantId, 'log_export');
      const { header, line } = csvForm(withIdentity);
      const give = take(scope.tenantId);
      try {
        const entry = {
          action: 'log.export',
          resourceType: 'log',
          resourceId: null,
          details: { format: 'csv', filter: asked, with_identity: withIdentity },
        };
        await db.transaction((tx) => auditLogs.record(tx, actorOf(caller), entry));
      } catch (error) {
        give();
        throw error;
      }

      const nowMs = clock.nowMs();
      // What comes in meanwhile is not waited for, or a slow reader's export would never end.
      const bounded = { ...filter, toMs: Math.min(filter.toMs ?? nowMs, nowMs) };
      async function* pieces(): AsyncGenerator<string> {
        yield header;
        let cursor = filter.fromMs === undefined ? undefined : await apiLogs.cursorAt(scope, filter.fromMs);
        for (;;) {
          const { rows, nextCursor } = await apiLogs.list(scope, bounded, cursor, ROWS_AT_ONCE);
          if (rows.length > 0) yield rows.map(line).join('');
          if (nextCursor === null) return;
          cursor = nextCursor;
          await nextTurn();
        }
      }
      return new TextStream(pieces(), `request-log-${isoTime(nowMs).slice(0, 10)}.csv`, give);
    },
  };
}
