export { type DetokenizedValue, EchoGuard } from './echo/echo-guard.js';
export type { EchoScanner } from './echo/echo-scanner.js';
export { redactionRoutes } from './routes.js';
export { createRedaction, type Redaction, type RedactionDeps, type RedactionPlan } from './service.js';
export { migrations } from './tables.js';
