export { egressAllowlistRoutes } from './routes.js';
export { createEgressAllowlist, type EgressAllowlist } from './service.js';
export { migrations } from './tables.js';
export { createTargetCheck, type TargetCheck } from './target-check.js';
