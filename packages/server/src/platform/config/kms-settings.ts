import type { Secret } from '../../kernel/secret.js';
import type { ConfigProblem, Environment } from './env.js';

/** Of the clouds' key management (contract README §8); what the values mean is judged by who uses them. */
export interface KmsConfig {
  /** Null = the root key wraps; `given_up`: it takes over what the operator's KMS wraps. */
  readonly operator:
    | {
        readonly provider: 'aws' | 'gcp' | 'azure';
        readonly keyRef: string;
        /** Parsed JSON. */
        readonly config: unknown;
      }
    | 'given_up'
    | null;
  /** Origins; null = where everybody finds the service. */
  readonly endpoints: {
    readonly awsKms: string | null;
    readonly awsSts: string | null;
    readonly gcpKms: string | null;
    readonly gcpIam: string | null;
    readonly azureAuthority: string | null;
    readonly azureVault: string | null;
  };
  /** What tenants name in their grants; null = what the server's own identity says. */
  readonly identities: { readonly aws: string | null; readonly gcp: string | null };
  /** AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_FEDERATED_TOKEN_FILE, as Kubernetes sets them. */
  readonly azureWorkload: {
    readonly clientId: string | null;
    readonly tenantId: string | null;
    readonly tokenFile: string | null;
  };
  /** Whether several tenants may name the same key. */
  readonly hasSharedKeys: boolean;
  /** KNOX_TENANT_KMS_*. */
  readonly secrets: ReadonlyMap<string, Secret<string>>;
}

const OPERATOR_KMS = [
  'KNOX_KMS_OPERATOR_PROVIDER',
  'KNOX_KMS_OPERATOR_KEY_REF',
  'KNOX_KMS_OPERATOR_CONFIG',
] as const;

/**
 * All three or none: with some of them the operator believes keys to be wrapped where they are not. The provider `none`
 * goes alone.
 */
export function operatorKmsProblems(values: Environment, found: readonly ConfigProblem[]): ConfigProblem[] {
  const given = OPERATOR_KMS.filter(
    (name) => values[name] !== undefined || found.some(({ variable }) => variable === name),
  );
  if (given.length === 0) return [];
  if (values.KNOX_KMS_OPERATOR_PROVIDER === 'none') {
    const rest = given.filter((name) => name !== 'KNOX_KMS_OPERATOR_PROVIDER');
    return rest.map((variable) => ({
      variable,
      rule: 'must be unset with KNOX_KMS_OPERATOR_PROVIDER=none; each master key names the key that opens it',
    }));
  }
  return OPERATOR_KMS.filter((name) => !given.includes(name)).map((variable) => ({
    variable,
    rule: `must be set as well, since ${given.join(' and ')} ${given.length === 1 ? 'is' : 'are'}`,
  }));
}

function operatorOf(
  provider: Environment['KNOX_KMS_OPERATOR_PROVIDER'],
  keyRef: string | undefined,
  config: unknown,
): KmsConfig['operator'] {
  if (provider === 'none') return 'given_up';
  return provider === undefined || keyRef === undefined ? null : { provider, keyRef, config };
}

export function kmsOf(values: Environment, secrets: KmsConfig['secrets']): KmsConfig {
  const { KNOX_KMS_OPERATOR_PROVIDER: provider, KNOX_KMS_OPERATOR_KEY_REF: keyRef } = values;
  return {
    operator: operatorOf(provider, keyRef, values.KNOX_KMS_OPERATOR_CONFIG),
    endpoints: {
      awsKms: values.KNOX_KMS_AWS_ENDPOINT ?? null,
      awsSts: values.KNOX_KMS_STS_ENDPOINT ?? null,
      gcpKms: values.KNOX_KMS_GCP_ENDPOINT ?? null,
      gcpIam: values.KNOX_KMS_GCP_IAM_ENDPOINT ?? null,
      azureAuthority: values.KNOX_KMS_AZURE_AUTHORITY ?? null,
      azureVault: values.KNOX_KMS_AZURE_VAULT ?? null,
    },
    identities: {
      aws: values.KNOX_KMS_AWS_ACCOUNT_ID ?? null,
      gcp: values.KNOX_KMS_GCP_PRINCIPAL ?? null,
    },
    azureWorkload: {
      clientId: values.AZURE_CLIENT_ID ?? null,
      tenantId: values.AZURE_TENANT_ID ?? null,
      tokenFile: values.AZURE_FEDERATED_TOKEN_FILE ?? null,
    },
    hasSharedKeys: values.KNOX_KMS_SHARED_KEYS === 'on',
    secrets,
  };
}
