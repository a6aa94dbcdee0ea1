import type { KmsSettings } from '../app/services-deps.js';
import type { AzureWorkload, CloudEndpoints, CloudIdentities, KmsDeps } from '../capabilities/kms/index.js';

export const PUBLIC_ENDPOINTS: CloudEndpoints = {
  awsKms: null,
  awsSts: null,
  gcpKms: null,
  gcpIam: null,
  azureAuthority: null,
  azureVault: null,
};

export const FOUND_OUT: CloudIdentities = { aws: null, gcp: null };

export const NO_WORKLOAD: AzureWorkload = { clientId: null, tenantId: null, tokenFile: null };

/** The root key wraps, as where no KNOX_KMS_* is set. */
export const NO_CLOUD: KmsSettings = {
  operatorKey: null,
  endpoints: PUBLIC_ENDPOINTS,
  identities: FOUND_OUT,
  azureWorkload: NO_WORKLOAD,
  hasSharedKeys: false,
  secretOf: () => undefined,
};

/** For a `createKms` that has the root key alone. */
export const ROOT_KEY_ONLY: Pick<KmsDeps, 'cloudProviders' | 'operatorKey' | 'outbox' | 'logger'> = {
  cloudProviders() {
    throw new Error('no cloud is used here');
  },
  operatorKey: null,
  outbox: { publish: async () => 'an event' },
  logger: { info() {}, warn() {} },
};
