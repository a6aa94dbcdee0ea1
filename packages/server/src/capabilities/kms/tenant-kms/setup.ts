import type { TenantId } from '../../../kernel/ids.js';
import type { CloudName } from '../cloud-key.js';
import type { Clouds } from '../providers/index.js';
import { secretVariablesOf } from '../secret-variable.js';
import { ownExternalId } from './references.js';

/** What the owner of a key has to grant, ready to paste. */
export interface Setup {
  readonly provider: CloudName;
  /** Who this server is in that cloud; null where it does not know. */
  readonly ownIdentity: string | null;
  /** Of AWS. */
  readonly externalId: string | null;
  readonly policyText: string;
}

export async function setupFor(
  clouds: Pick<Clouds, 'ownIdentity'>,
  provider: CloudName,
  tenant: { readonly id: TenantId; readonly slug: string },
): Promise<Setup> {
  const ownIdentity = await clouds.ownIdentity(provider);
  const externalId = provider === 'aws' ? ownExternalId(tenant.id) : null;
  const policyText = {
    aws: () => awsText(ownIdentity, ownExternalId(tenant.id)),
    gcp: () => gcpText(ownIdentity),
    azure: () => azureText(ownIdentity, secretVariablesOf(tenant.slug)),
  }[provider]();
  return { provider, ownIdentity, externalId, policyText };
}

const LOST =
  'A key that is lost or deleted takes everything that is encrypted under it with it, backups included; nobody can\n' +
  'restore it. Switch on the protection of your cloud against deletion before you go on.';

function awsText(account: string | null, externalId: string): string {
  const trust = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account ?? 'ACCOUNT-OF-THE-SERVER'}:root` },
        Action: 'sts:AssumeRole',
        Condition: { StringEquals: { 'sts:ExternalId': externalId } },
      },
    ],
  };
  const use = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'],
        Resource: 'arn:aws:kms:REGION:ACCOUNT:key/KEY-ID',
      },
    ],
  };
  return [
    ...unknownNote(account, 'ACCOUNT-OF-THE-SERVER', 'account id of this server', 'KNOX_KMS_AWS_ACCOUNT_ID'),
    '# Put your own REGION, ACCOUNT and KEY-ID in. The key: symmetric, for encryption and decryption.',
    'aws kms create-key --region REGION --key-usage ENCRYPT_DECRYPT --key-spec SYMMETRIC_DEFAULT',
    '',
    '# Who may use the role: this server, and only for you (the external id).',
    `cat > trust.json <<'JSON'\n${json(trust)}\nJSON`,
    'aws iam create-role --role-name knoxcall --assume-role-policy-document file://trust.json',
    '',
    '# What the role may do: encrypt and decrypt with the one key.',
    `cat > use.json <<'JSON'\n${json(use)}\nJSON`,
    'aws iam put-role-policy --role-name knoxcall --policy-name knoxcall-kms --policy-document file://use.json',
    '',
    '# Where the policy of the key does not leave it to IAM, add this statement to it:',
    json({
      Effect: 'Allow',
      Principal: { AWS: 'arn:aws:iam::ACCOUNT:role/knoxcall' },
      Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'],
      Resource: '*',
    }),
    '',
    ...body('aws', 'arn:aws:kms:REGION:ACCOUNT:key/KEY-ID', {
      region: 'REGION',
      role_arn: 'arn:aws:iam::ACCOUNT:role/knoxcall',
    }),
  ].join('\n');
}

function gcpText(principal: string | null): string {
  // A federated identity is named whole.
  const member = principal?.startsWith('principal://')
    ? principal
    : `serviceAccount:${principal ?? 'PRINCIPAL-OF-THE-SERVER'}`;
  return [
    ...unknownNote(
      principal,
      'PRINCIPAL-OF-THE-SERVER',
      'service account of this server',
      'KNOX_KMS_GCP_PRINCIPAL',
    ),
    '# Put your own PROJECT, LOCATION and names in.',
    'gcloud kms keyrings create knoxcall --project PROJECT --location LOCATION',
    'gcloud kms keys create main --project PROJECT --location LOCATION --keyring knoxcall --purpose encryption',
    'gcloud iam service-accounts create knoxcall --project PROJECT',
    '',
    '# The account may encrypt and decrypt with the one key.',
    'gcloud kms keys add-iam-policy-binding main --project PROJECT --location LOCATION --keyring knoxcall \\',
    '  --member serviceAccount:knoxcall@PROJECT.iam.gserviceaccount.com \\',
    '  --role roles/cloudkms.cryptoKeyEncrypterDecrypter',
    '',
    '# This server may act as the account.',
    'gcloud iam service-accounts add-iam-policy-binding knoxcall@PROJECT.iam.gserviceaccount.com --project PROJECT \\',
    `  --member ${member} --role roles/iam.serviceAccountTokenCreator`,
    '',
    ...body('gcp', 'projects/PROJECT/locations/LOCATION/keyRings/knoxcall/cryptoKeys/main', {
      impersonate_service_account: 'knoxcall@PROJECT.iam.gserviceaccount.com',
    }),
  ].join('\n');
}

function azureText(identity: string | null, variables: string): string {
  const scope = '"$(az keyvault show --name VAULT --query id --output tsv)"';
  return [
    '# Put your own GROUP, LOCATION and VAULT in. The vault decides by roles (RBAC), the key is RSA.',
    'az keyvault create --name VAULT --resource-group GROUP --location LOCATION --sku premium \\',
    '  --enable-rbac-authorization true --enable-purge-protection true',
    'az keyvault key create --vault-name VAULT --name knoxcall --kty RSA --size 3072 --ops wrapKey unwrapKey',
    '',
    '# Either: an application of your directory. Its secret goes to whoever runs this server, who sets it as a variable',
    `# ${variables}SECRET; here only the name of the variable is given, never the secret.`,
    'az ad sp create-for-rbac --name knoxcall --role "Key Vault Crypto User" \\',
    `  --scopes ${scope}`,
    '',
    `# Or, where this server runs on Azure: its managed identity${identity ? '' : ' (not known here: ask whoever runs this server)'}.`,
    `az role assignment create --assignee ${identity ?? 'IDENTITY-OF-THE-SERVER'} --role "Key Vault Crypto User" \\`,
    `  --scope ${scope}`,
    '',
    ...body('azure', 'https://VAULT.vault.azure.net/keys/knoxcall', {
      vault_url: 'https://VAULT.vault.azure.net',
      azure_tenant_id: 'DIRECTORY-ID',
      client_id: 'APPLICATION-ID',
      client_secret_env_var: `${variables}SECRET`,
    }),
    '# With the managed identity leave the last three members out.',
  ].join('\n');
}

function unknownNote(identity: string | null, placeholder: string, what: string, variable: string): string[] {
  if (identity !== null) return [];
  return [`# ${placeholder}: the ${what}, which it does not know. Ask whoever runs it (${variable}).`, ''];
}

function body(provider: CloudName, keyRef: string, config: Readonly<Record<string, string>>): string[] {
  return [
    '# Then, here: POST /admin/tenant-kms',
    json({ provider, kms_key_ref: keyRef, config }),
    '',
    ...LOST.split('\n').map((line) => `# ${line}`),
  ];
}

function json(value: object): string {
  return JSON.stringify(value, null, 2);
}
