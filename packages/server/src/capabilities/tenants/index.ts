export { REMOVAL_JOB, tenantJobs } from './jobs.js';
export { createTenantRemoval, type TenantRemoval } from './removal.js';
export { tenantRoutes } from './routes.js';
export { createTenants, type Tenants } from './service.js';
