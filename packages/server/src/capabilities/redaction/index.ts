import { redactionMigration } from './migrations/0008-redaction.js';

export { redactionRoutes } from './routes.js';
export { createRedaction, type Redaction, type RedactionDeps, type RedactionPlan } from './service.js';

export const migrations = [redactionMigration];
