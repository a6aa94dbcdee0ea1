export { envelopeColumns } from './envelope-columns.js';
export { secretRoutes } from './routes.js';
export { createSecretEnvironments, createSecrets, type Secrets, type SecretUser } from './service.js';
export { migrations, type SecretType } from './tables.js';
export type {
  CertificateWithKey,
  OAuth2Values,
  ResolvedSecret,
  SecretReference,
  SecretUse,
  StoredSecret,
} from './types.js';
