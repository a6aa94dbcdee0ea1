export { tokenExchangeGrant } from './exchange/grant.js';
export { createIssuerKeys, type IssuerKeys } from './issuer-keys/issuer-keys.js';
export { oidcBindingJobs } from './jobs.js';
export { oidcBindingRoutes } from './routes.js';
export { createOidcBindings, type OidcBindings } from './service.js';
export { migrations } from './tables.js';
