export type { EnvelopePlace } from '../../platform/crypto/envelope-cipher.js';
export type { CloudKey, OperatorKey } from './cloud-key.js';
export { readCloudKey } from './cloud-key-rules.js';
export type { EnvelopeColumn } from './envelope-columns.js';
export { OperatorKmsRefused, RootKeyMismatch } from './errors.js';
export {
  type AzureWorkload,
  type CloudEndpoints,
  type CloudIdentities,
  type CloudProviders,
  type Clouds,
  createClouds,
  KMS_POLICY_KEY,
  type KmsCall,
} from './providers/index.js';
export { revocationRoutes } from './revocation/routes.js';
export { createRevocations, type Revocations } from './revocation/service.js';
export { rewrapRoutes } from './rewrap/routes.js';
export { createRewraps, type RewrapProgress, type Rewraps } from './rewrap/service.js';
export type { RootKeyChange } from './root-key.js';
export { createKms, type Kms, type KmsDeps, type TenantKeys } from './service.js';
export { hasWrappedData } from './store.js';
export { kmsTables, migrations } from './tables.js';
export { tenantKmsJobs } from './tenant-kms/jobs.js';
export { tenantKmsRoutes } from './tenant-kms/routes.js';
export { createSealedCount } from './tenant-kms/sealed-count.js';
export { createTenantKms, type TenantKms } from './tenant-kms/service.js';
export { createVerification } from './tenant-kms/verification.js';
export { kmsGeneration, type PreparedMasterKey } from './versions.js';
export { createKeyWiping } from './wiping.js';
export type { OperatorKmsChange } from './wrapping-keys.js';
