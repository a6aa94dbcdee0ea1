import type { Migration } from '../../platform/storage/migration.js';
import { apiLogsMigration } from './migrations/0009-api-logs.js';

export type { ApiLog, ApiLogEntry, ClientOrigin, ProxyMode } from './api-log.js';
export { apiLogRoutes } from './routes.js';
export { type ApiLogs, type ApiLogsDeps, createApiLogs } from './service.js';
export { apiLogTables } from './tables.js';

export const migrations: readonly Migration[] = [apiLogsMigration];
