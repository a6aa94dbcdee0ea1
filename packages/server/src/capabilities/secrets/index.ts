export { envelopeColumns } from './envelope-columns.js';
export { allowedHosts, coversHost } from './hosts.js';
export { type CallbackPage, createCallbackPage, SCRIPT_SOURCE } from './oauth2/callback-page.js';
export { oauth2SecretJobs } from './oauth2/jobs.js';
export { CALLBACK_PATH, createOAuth2Secrets, type OAuth2Secrets } from './oauth2/service.js';
export { secretRoutes } from './routes.js';
export { newTerms, secretValue } from './schemas.js';
export {
  createSecretEnvironments,
  createSecretNames,
  createSecretOfType,
  createSecrets,
  type Secrets,
  type SecretUser,
} from './service.js';
export { migrations, type SecretType } from './tables.js';
export type {
  CertificateWithKey,
  OAuth2Values,
  ResolvedSecret,
  SecretReference,
  SecretUse,
  StoredSecret,
} from './types.js';
