export { EchoGuard } from './echo/echo-guard.js';
export type { EchoScanner } from './echo/echo-scanner.js';
export type { DetokenizedValue } from './echo/echo-search.js';
export type { RedactionPlan, RoutePlan } from './plans.js';
export { createRoutedRules } from './routed-rules.js';
export { redactionRoutes } from './routes.js';
export { createRedaction, type Redaction, type RedactionDeps } from './service.js';
export { migrations } from './tables.js';
