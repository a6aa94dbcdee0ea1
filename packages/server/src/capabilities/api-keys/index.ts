export { hashKey } from './key-format.js';
export { apiKeyRoutes } from './routes.js';
export {
  type ApiKeys,
  type ApiKeysDeps,
  type CreatedApiKey,
  createApiKeys,
  isExpired,
  type PreparedApiKey,
} from './service.js';
export type { StoredCredential } from './store.js';
export { migrations } from './tables.js';
