export { createFirstEnvironments } from './first.js';
export { environmentRoutes } from './routes.js';
export { environmentName } from './schemas.js';
export { createEnvironments, type EnvironmentHolder, type Environments } from './service.js';
export { migrations } from './tables.js';
