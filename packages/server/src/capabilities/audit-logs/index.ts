import { auditLogsMigration } from './migrations/0006-audit-logs.js';

export { auditLogRoutes } from './routes.js';
export { type AuditEntry, type AuditLogs, type AuditLogsDeps, createAuditLogs } from './service.js';

export const migrations = [auditLogsMigration];
