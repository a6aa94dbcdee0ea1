export { accountRoutes, tenantSwitchRoutes } from './routes.js';
export { createPlans, type OperationMeter, type Plans, type PlansDeps } from './service.js';
export { migrations } from './tables.js';
export { createTenantSwitch, type TenantSwitch } from './tenant-switch.js';
