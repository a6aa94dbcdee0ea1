export { redactionRoutes } from './routes.js';
export { createRedaction, type Redaction, type RedactionDeps, type RedactionPlan } from './service.js';
export { migrations } from './tables.js';
