import type { CloudKey } from './cloud-key.js';
import { type KeyOwner, readCloudKey } from './cloud-key-rules.js';
import { KmsFailure } from './providers/types.js';

/** As a row keeps it: the wire names, absent members left out, so that the same key is the same text. */
export function cloudKeyText(key: CloudKey): string {
  return JSON.stringify({ provider: key.provider, kms_key_ref: key.keyRef, config: configOf(key) });
}

function configOf(key: CloudKey): Record<string, string> {
  const config = writtenConfigOf(key);
  return Object.fromEntries(Object.entries(config).filter((entry): entry is [string, string] => !!entry[1]));
}

function writtenConfigOf(key: CloudKey): Record<string, string | null | undefined> {
  switch (key.provider) {
    case 'aws':
      return {
        region: key.config.region,
        role_arn: key.config.roleArn,
        external_id: key.config.externalId,
      };
    case 'gcp':
      return {
        impersonate_service_account: key.config.serviceAccount,
        project_id: key.config.projectId,
      };
    case 'azure':
      return {
        vault_url: key.config.vaultUrl,
        azure_tenant_id: key.config.application?.azureTenantId,
        client_id: key.config.application?.clientId,
        client_secret_env_var: key.config.application?.secretVariable,
      };
  }
}

/** Judged again: whoever can write a row must not choose where a token is sent. */
export function cloudKeyOfText(text: string | null, owner: KeyOwner): CloudKey {
  const { provider, kms_key_ref: kmsKeyRef, config } = JSON.parse(text ?? '{}') as Record<string, unknown>;
  const reading = readCloudKey({ provider, kmsKeyRef, config }, owner);
  if (reading.kind !== 'key') throw new KmsFailure('key_unusable', 'key', 'stored_key_invalid');
  return reading.key;
}
