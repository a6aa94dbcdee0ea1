export { auditLogRoutes } from './routes.js';
export { type AuditEntry, type AuditLogs, type AuditLogsDeps, createAuditLogs } from './service.js';
export { migrations } from './tables.js';
