import type { AwsKey, AzureKey, CloudKey, CloudName, GcpKey } from './cloud-key.js';
import { isSecretVariable } from './secret-variable.js';
import { staticCredentialIn } from './static-credentials.js';

/** As it is written in a request or in KNOX_KMS_OPERATOR_*. */
export interface WrittenKey {
  readonly provider: unknown;
  readonly kmsKeyRef: unknown;
  readonly config: unknown;
}

export type KeyReading =
  | { readonly kind: 'key'; readonly key: CloudKey }
  /** Where a long-lived credential stands; its value is told to nobody. */
  | { readonly kind: 'static_credential'; readonly field: string }
  | { readonly kind: 'invalid'; readonly fields: Readonly<Record<string, readonly string[]>> };

/** The operator's keys may be used by the server's own identity; a tenant's never are. */
export type KeyOwner = 'tenant' | 'operator';

const AWS_KEY =
  /^arn:(?:aws|aws-us-gov|aws-cn):kms:([a-z0-9-]+):\d{12}:(?:key\/(?:mrk-)?[A-Za-z0-9-]{1,64}|alias\/[A-Za-z0-9/_-]{1,250})$/;
/** A label of the host that is dialled, and no other service's: `kms.s3.amazonaws.com` would be somebody's bucket. */
const AWS_REGION = /^[a-z]{2}(?:-[a-z]{2,16}){1,3}-\d{1,2}$/;
const AWS_ROLE = /^arn:(?:aws|aws-us-gov|aws-cn):iam::\d{12}:role\/[\w+=,.@/-]{1,576}$/;
const AWS_EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/;
const GCP_KEY =
  /^projects\/(?!\.{1,2}\/)[A-Za-z0-9:._-]{1,128}\/locations\/[a-z0-9-]{1,64}\/keyRings\/[A-Za-z0-9_-]{1,63}\/cryptoKeys\/[A-Za-z0-9_-]{1,63}$/;
const GCP_SERVICE_ACCOUNT = /^[a-z0-9-]{1,63}@[a-z0-9.-]{1,180}\.iam\.gserviceaccount\.com$/;
const GCP_PROJECT = /^[a-z0-9:.-]{1,128}$/;
const AZURE_KEY =
  /^https:\/\/[A-Za-z0-9-]{3,24}\.(?:vault\.azure\.net|vault\.azure\.cn|vault\.usgovcloudapi\.net|managedhsm\.azure\.net)\/keys\/[A-Za-z0-9-]{1,127}(?:\/[0-9a-f]{32})?$/;
/** A host alone: what stands before an @ would be a credential. */
const AZURE_VAULT = /^https:\/\/[A-Za-z0-9.-]{1,253}\/?$/;
const AZURE_ID = /^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/;
const AZURE_TENANT_DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,63}$/;

const KEY_FORMS: Record<CloudName, { readonly pattern: RegExp; readonly rule: string }> = {
  aws: {
    pattern: AWS_KEY,
    rule: 'must be the full ARN of a KMS key or alias: arn:aws:kms:REGION:ACCOUNT:key/KEY-ID',
  },
  gcp: {
    pattern: GCP_KEY,
    rule: 'must be projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version',
  },
  azure: { pattern: AZURE_KEY, rule: 'must be https://VAULT.vault.azure.net/keys/KEY-NAME' },
};

/** Judges without any call (kms-admin.md §1.1): what is well formed may still not exist, or not be ours to use. */
export function readCloudKey(written: WrittenKey, owner: KeyOwner): KeyReading {
  const field =
    staticCredentialIn(written.kmsKeyRef, 'kms_key_ref') ?? staticCredentialIn(written.config, 'config');
  if (field !== null) return { kind: 'static_credential', field };
  const { provider } = written;
  if (provider !== 'aws' && provider !== 'gcp' && provider !== 'azure') {
    return { kind: 'invalid', fields: { provider: ['must be one of aws, gcp, azure'] } };
  }
  const members = new Members(written.config);
  const { pattern, rule } = KEY_FORMS[provider];
  const keyRef = members.check('kms_key_ref', written.kmsKeyRef, pattern, rule) ?? '';
  const key = READERS[provider](keyRef, members, owner);
  if (members.secretField !== null) return { kind: 'static_credential', field: members.secretField };
  const { fields } = members;
  return Object.keys(fields).length > 0 ? { kind: 'invalid', fields } : { kind: 'key', key };
}

const READERS: Record<CloudName, (keyRef: string, members: Members, owner: KeyOwner) => CloudKey> = {
  aws: readAws,
  gcp: readGcp,
  azure: readAzure,
};

function readAws(keyRef: string, members: Members, owner: KeyOwner): AwsKey {
  members.allow('region', 'role_arn', 'external_id');
  const region = members.required('region', AWS_REGION, 'must be a region such as eu-central-1');
  const arnRegion = AWS_KEY.exec(keyRef)?.[1];
  if (region !== null && arnRegion !== undefined && arnRegion !== region) {
    members.fail('config.region', 'must be the region of kms_key_ref');
  }
  const roleRule = 'must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME';
  const roleArn =
    owner === 'tenant'
      ? members.required('role_arn', AWS_ROLE, roleRule)
      : members.optional('role_arn', AWS_ROLE, roleRule);
  const externalId = members.optional(
    'external_id',
    AWS_EXTERNAL_ID,
    'must be 2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -',
  );
  if (externalId !== null && roleArn === null) members.fail('config.external_id', 'goes with role_arn');
  return { provider: 'aws', keyRef, config: { region: region ?? '', roleArn, externalId } };
}

function readGcp(keyRef: string, members: Members, owner: KeyOwner): GcpKey {
  members.allow('impersonate_service_account', 'project_id');
  const name = 'impersonate_service_account';
  const rule = 'must be the e-mail of a service account: NAME@PROJECT.iam.gserviceaccount.com';
  const serviceAccount =
    owner === 'tenant'
      ? members.required(name, GCP_SERVICE_ACCOUNT, rule)
      : members.optional(name, GCP_SERVICE_ACCOUNT, rule);
  const projectId = members.optional('project_id', GCP_PROJECT, 'must be the id of a project');
  return { provider: 'gcp', keyRef, config: { serviceAccount, projectId } };
}

function readAzure(keyRef: string, members: Members): AzureKey {
  members.allow('vault_url', 'azure_tenant_id', 'client_id', 'client_secret_env_var');
  const vaultUrl = members.required('vault_url', AZURE_VAULT, 'must be the origin of kms_key_ref');
  if (vaultUrl !== null && keyRef !== '' && !sameOrigin(vaultUrl, keyRef)) {
    members.fail('config.vault_url', 'must be the origin of kms_key_ref');
  }
  const names = ['azure_tenant_id', 'client_id', 'client_secret_env_var'];
  const given = names.filter((name) => members.has(name));
  const config = { vaultUrl: vaultUrl ?? '', application: null };
  if (given.length === 0) return { provider: 'azure', keyRef, config };
  for (const name of names) {
    if (!members.has(name)) members.fail(`config.${name}`, `goes with ${given.join(' and ')}`);
  }
  const azureTenantId = members.optional(
    'azure_tenant_id',
    new RegExp(`${AZURE_ID.source}|${AZURE_TENANT_DOMAIN.source}`),
    'must be the id or the domain of a directory',
  );
  const clientId = members.optional('client_id', AZURE_ID, 'must be the id of an application');
  const secretVariable = members.secretVariable('client_secret_env_var');
  const application = {
    azureTenantId: azureTenantId ?? '',
    clientId: clientId ?? '',
    secretVariable: secretVariable ?? '',
  };
  return { provider: 'azure', keyRef, config: { ...config, application } };
}

function sameOrigin(one: string, other: string): boolean {
  return URL.canParse(one) && URL.canParse(other) && new URL(one).origin === new URL(other).origin;
}

/** The members of `config`, and the rules that they break. */
class Members {
  readonly fields: Record<string, string[]> = {};
  /** Where a secret stands in place of the name of its variable. */
  secretField: string | null = null;
  readonly #config: Readonly<Record<string, unknown>>;

  constructor(config: unknown) {
    const isObject = config !== null && typeof config === 'object' && !Array.isArray(config);
    this.#config = isObject ? (config as Record<string, unknown>) : {};
    if (!isObject) this.fail('config', 'must be an object');
  }

  fail(field: string, rule: string): void {
    this.fields[field] ??= [rule];
  }

  allow(...names: readonly string[]): void {
    for (const name of Object.keys(this.#config)) {
      if (!names.includes(name)) this.fail('config', `may hold only ${names.join(', ')}`);
    }
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#config, name) && this.#config[name] !== null;
  }

  check(field: string, value: unknown, pattern: RegExp, rule: string): string | null {
    if (typeof value === 'string' && value.length <= 2_048 && pattern.test(value)) return value;
    this.fail(field, rule);
    return null;
  }

  required(name: string, pattern: RegExp, rule: string): string | null {
    return this.check(`config.${name}`, this.has(name) ? this.#config[name] : undefined, pattern, rule);
  }

  optional(name: string, pattern: RegExp, rule: string): string | null {
    return this.has(name) ? this.required(name, pattern, rule) : null;
  }

  secretVariable(name: string): string | null {
    const value = this.has(name) ? this.#config[name] : null;
    if (value === null) return null;
    if (typeof value === 'string' && isSecretVariable(value)) return value;
    // A name of some other variable is a mistake; anything else is taken for the secret itself.
    if (typeof value === 'string' && !/^[A-Z][A-Z0-9_]*$/.test(value)) this.secretField = `config.${name}`;
    else this.fail(`config.${name}`, 'must be the name of a variable: KNOX_TENANT_KMS_ and A-Z, 0-9 or _');
    return null;
  }
}
