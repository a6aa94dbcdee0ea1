import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { instantText } from '../../../platform/http/pagination.js';
import type { Onboarded } from './service.js';
import type { Setup } from './setup.js';
import type { ShownMasterKey, TenantKmsConfig } from './store.js';

const KEY_REF_CHARACTERS_MAX = 2_048;

const provider = z.enum(['aws', 'gcp', 'azure']);

export const onboardBody = z
  .strictObject({
    provider,
    kms_key_ref: z
      .string()
      .min(1)
      .max(KEY_REF_CHARACTERS_MAX)
      .describe(
        'aws: ARN of a symmetric key or of an alias. gcp: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. azure: `https://VAULT.vault.azure.net/keys/NAME`.',
      )
      .meta({ examples: ['arn:aws:kms:eu-central-1:111122223333:key/abcd-1234'] }),
    config: z
      .record(z.string(), z.unknown())
      .describe(
        'References, never a credential. aws: `region`, `role_arn`, optionally `external_id`. gcp: `impersonate_service_account`, optionally `project_id`. azure: `vault_url`, and for an application in place of the managed identity all of `azure_tenant_id`, `client_id`, `client_secret_env_var`.',
      )
      .meta({
        examples: [{ region: 'eu-central-1', role_arn: 'arn:aws:iam::111122223333:role/knoxcall' }],
      }),
  })
  .transform(({ provider, kms_key_ref: kmsKeyRef, config }) => ({ provider, kmsKeyRef, config }));

export const onboardResponse = z
  .object({
    ok: z.literal(true),
    provider,
    kms_key_ref: z.string(),
    new_key_version: z.number().int(),
    new_key_id: z.string().meta({ format: 'uuid' }),
    rewrap_status: z.literal('enqueued'),
    note: z.string().describe('For people: what happens now, what may not be lost, and what is unreadable.'),
    warning: z
      .literal('role_without_external_id')
      .optional()
      .describe(
        'The role is also given to who does not tell the external id: ask for it in its trust policy.',
      ),
  })
  .meta({ id: 'TenantKmsOnboarded' });

export const tenantKmsResponse = z
  .object({
    config: z.object({
      provider: z.enum(['customer_kms_aws', 'customer_kms_gcp', 'customer_kms_azure']),
      kms_key_ref: z.string(),
      config: z.record(z.string(), z.string()).describe('As configured; the external id is not shown.'),
      sealed_since: instantText.nullable().describe('Null: not sealed.'),
      last_verified_at: instantText.nullable().describe('When the key opened last, asked of the KMS itself.'),
      last_verify_error: z
        .string()
        .nullable()
        .describe('Why it failed when it was asked last; null: it did not.'),
    }),
    keys: z.array(
      z.object({
        id: z.string().meta({ format: 'uuid' }),
        version: z.number().int(),
        wrap_method: z.enum(['global', 'operator_kms', 'customer_kms']),
        status: z.enum(['active', 'retired', 'revoked']),
        created_at: instantText,
        retired_at: instantText.nullable(),
      }),
    ),
  })
  .meta({ id: 'TenantKms' });

export const rotateResponse = z
  .object({
    rotated: z.literal(true),
    new_version: z.number().int(),
    rewrap_lease_id: z.number().int().nullable().describe('Null: rotated, and no rewrap could be begun.'),
  })
  .meta({ id: 'TenantKmsRotated' });

export const unsealResponse = z.object({ unsealed: z.literal(true) }).meta({ id: 'TenantKmsUnsealed' });
export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });
export const testResponse = z
  .object({ ok: z.literal(true), latency_ms: z.number().int() })
  .meta({ id: 'TenantKmsTested' });

export const setupQuery = z.object({ provider: provider.describe('Of which cloud the key will be.') });
export const setupResponse = z
  .object({
    provider,
    aws_account_id: z.string().nullable().optional().describe('aws: of this server; null: not known.'),
    gcp_principal: z.string().nullable().optional().describe('gcp: of this server; null: not known.'),
    azure_principal_id: z
      .string()
      .nullable()
      .optional()
      .describe('azure: of the managed identity of this server; null: it has none.'),
    external_id: z.string().optional().describe("aws: the tenant's own, for the trust policy of the role."),
    policy_text: z.string().describe('Commands and policies to paste.'),
  })
  .meta({ id: 'TenantKmsSetup' });

const NOTE =
  'Existing secrets are re-encrypted under the new key in the background, and in-flight sessions stay valid for up to 5 minutes. ' +
  'Keep the key: if it is lost or deleted, everything encrypted under it is lost for good, backups included, and nobody can restore it.';

export function onboardedWire(onboarded: Onboarded): z.input<typeof onboardResponse> {
  const { unreadableVersions: unreadable } = onboarded;
  const lost =
    unreadable.length === 0
      ? ''
      : ` The former key does not open: what is encrypted under master key version ${unreadable.join(', ')} stays unreadable until it does.`;
  return {
    ok: true,
    provider: onboarded.provider,
    kms_key_ref: onboarded.keyRef,
    new_key_version: onboarded.version,
    new_key_id: keyIdOf(onboarded.tenantId, onboarded.version),
    rewrap_status: 'enqueued',
    note: `${NOTE}${lost}`,
    ...(onboarded.hasRoleWithoutExternalId && { warning: 'role_without_external_id' as const }),
  };
}

export function tenantKmsWire(
  config: TenantKmsConfig,
  keys: readonly ShownMasterKey[],
): z.input<typeof tenantKmsResponse> {
  const written = JSON.parse(config.kmsKey) as {
    provider: 'aws' | 'gcp' | 'azure';
    kms_key_ref: string;
    config: Record<string, string>;
  };
  const { external_id: _writeOnly, ...shown } = written.config;
  return {
    config: {
      provider: `customer_kms_${written.provider}`,
      kms_key_ref: written.kms_key_ref,
      config: shown,
      sealed_since: isoTimeOrNull(config.sealedSinceMs),
      last_verified_at: isoTimeOrNull(config.lastVerifiedAtMs),
      last_verify_error: config.lastVerifyError,
    },
    keys: keys.map((key) => ({
      id: keyIdOf(config.tenantId, key.version),
      version: key.version,
      wrap_method: key.wrapMethod,
      status: key.status,
      created_at: isoTime(key.createdAtMs),
      retired_at: isoTimeOrNull(key.retiredAtMs),
    })),
  };
}

export function setupWire({
  provider,
  ownIdentity,
  externalId,
  policyText,
}: Setup): z.input<typeof setupResponse> {
  const named = {
    aws: { aws_account_id: ownIdentity },
    gcp: { gcp_principal: ownIdentity },
    azure: { azure_principal_id: ownIdentity },
  };
  return {
    provider,
    ...named[provider],
    ...(externalId !== null && { external_id: externalId }),
    policy_text: policyText,
  };
}

/** A row is named by tenant and version, which are never used twice; the id is another name of the two, in the form of v4. */
function keyIdOf(tenantId: TenantId, version: number): string {
  const hash = sha256(`knox.master-key-id:${tenantId}:${version}`);
  hash[6] = (hash[6]! & 0x0f) | 0x40;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
