export { type AuditChain, createAuditChain } from './chain/service.js';
export { type AuditVerification, createAuditVerification } from './chain/verification.js';
export { commitHook } from './commit-hook.js';
export { mayReadDetails } from './details.js';
export { auditJobs } from './jobs.js';
export { auditLogRoutes } from './routes.js';
export { type AuditEntry, type AuditLogs, type AuditLogsDeps, createAuditLogs } from './service.js';
export type { SealedAuditRow } from './store.js';
export { migrations } from './tables.js';
