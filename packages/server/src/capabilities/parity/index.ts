export { parityRoutes } from './routes.js';
export { createParity } from './service.js';
