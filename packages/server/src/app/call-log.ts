import { createAnalytics } from '../capabilities/analytics/index.js';
import { createApiLogs, createLogAnchors, createLogExports } from '../capabilities/api-logs/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import type { ServicesDeps } from './services-deps.js';
import { countedCalls } from './telemetry.js';

interface CallLogDeps extends Pick<ServicesDeps, 'db' | 'clock' | 'ids' | 'logger' | 'instruments'> {
  readonly auditLogs: AuditLogs;
  readonly plans: Plans;
}

/** What is kept of calls, and what is made of it. */
export function createCallLog(deps: CallLogDeps) {
  const { db, clock, logger, instruments, plans } = deps;
  const apiLogs = createApiLogs({
    db,
    clock,
    retention: plans,
    onLostRow: (entry, cause) =>
      logger.error({ err: cause, request_id: entry.requestId }, 'request-log row lost'),
  });
  instruments.gauge('knox_log_queue_rows', 'Log rows of finished calls that are not durable yet.', () =>
    apiLogs.queuedRows(),
  );
  return {
    apiLogs,
    logAnchors: createLogAnchors({ ...deps, apiLogs }),
    logExports: createLogExports({ ...deps, apiLogs }),
    analytics: createAnalytics({ ...deps, apiLogs }),
    /** What calls are written to. */
    callLog: countedCalls(apiLogs, instruments),
  };
}
