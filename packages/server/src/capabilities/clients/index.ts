export type { Assignments, RouteEnvironment } from './assignments/service.js';
export type { ClientMatch, ClientMatcher } from './matching/service.js';
export { clientRoutes } from './routes.js';
export { type Clients, createClients } from './service.js';
export { createSigningSecretUser } from './signing-secrets.js';
export { migrations } from './tables.js';
