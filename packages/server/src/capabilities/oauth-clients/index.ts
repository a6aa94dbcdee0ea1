export { CLI_ALIAS } from './client-format.js';
export {
  type ClientCredentials,
  type ClientSource,
  createIdentifyClient,
  type IdentifyClient,
  type KnownClient,
} from './identify.js';
export { rememberClients } from './known-clients.js';
export { oauthClientRoutes } from './routes.js';
export {
  CLI_CLIENT,
  createOAuthClients,
  type OAuthClient,
  type OAuthClients,
  permissionsOfClient,
} from './service.js';
export { migrations } from './tables.js';
