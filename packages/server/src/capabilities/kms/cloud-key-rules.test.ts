import { describe, expect, it } from 'vitest';
import { type KeyOwner, readCloudKey, type WrittenKey } from './cloud-key-rules.js';
import { cloudKeyOfText, cloudKeyText } from './cloud-key-text.js';

const AWS = {
  provider: 'aws',
  kmsKeyRef: 'arn:aws:kms:us-east-1:123456789012:key/abcd-1234',
  config: { region: 'us-east-1', role_arn: 'arn:aws:iam::123456789012:role/knoxcall' },
};
const GCP = {
  provider: 'gcp',
  kmsKeyRef: 'projects/acme/locations/global/keyRings/ring/cryptoKeys/key',
  config: { impersonate_service_account: 'knoxcall@acme.iam.gserviceaccount.com' },
};
const AZURE = {
  provider: 'azure',
  kmsKeyRef: 'https://acme-vault.vault.azure.net/keys/main',
  config: { vault_url: 'https://acme-vault.vault.azure.net' },
};
const APPLICATION = {
  azure_tenant_id: '11111111-2222-4333-8444-555555555555',
  client_id: '66666666-7777-4888-8999-000000000000',
  client_secret_env_var: 'KNOX_TENANT_KMS_ACME_SECRET',
};
const HEX = 'a'.repeat(32);
const read = (written: Parameters<typeof readCloudKey>[0], owner: KeyOwner = 'tenant') =>
  readCloudKey(written, owner);
const fieldsOf = (written: Parameters<typeof readCloudKey>[0], owner: KeyOwner = 'tenant') => {
  const reading = read(written, owner);
  return reading.kind === 'invalid' ? Object.keys(reading.fields) : reading.kind;
};

describe('takes', () => {
  it.each([
    AWS,
    { ...AWS, kmsKeyRef: 'arn:aws:kms:us-east-1:123456789012:alias/acme/main_1' },
    { ...AWS, kmsKeyRef: 'arn:aws-us-gov:kms:us-east-1:123456789012:key/mrk-0123' },
    { ...AWS, config: { ...AWS.config, external_id: 'ext:id/1' } },
    GCP,
    { ...GCP, kmsKeyRef: 'projects/example.com:acme/locations/us/keyRings/r/cryptoKeys/k' },
    { ...GCP, config: { ...GCP.config, project_id: 'acme' } },
    AZURE,
    { ...AZURE, kmsKeyRef: `${AZURE.kmsKeyRef}/${HEX}` },
    { ...AZURE, config: { ...AZURE.config, ...APPLICATION } },
    {
      provider: 'azure',
      kmsKeyRef: 'https://acme.managedhsm.azure.net/keys/k',
      config: { vault_url: 'https://acme.managedhsm.azure.net/' },
    },
  ])('%j, and keeps it as a text that is judged again', (written) => {
    const reading = read(written);
    expect(reading.kind).toBe('key');
    if (reading.kind === 'key')
      expect(cloudKeyOfText(cloudKeyText(reading.key), 'tenant')).toEqual(reading.key);
  });

  it('the operator’s key without a role: the server itself uses it', () => {
    expect(read({ ...AWS, config: { region: 'us-east-1' } }, 'operator').kind).toBe('key');
    expect(read({ ...GCP, config: {} }, 'operator').kind).toBe('key');
    expect(fieldsOf({ ...AWS, config: { region: 'us-east-1' } })).toEqual(['config.role_arn']);
    expect(fieldsOf({ ...GCP, config: {} })).toEqual(['config.impersonate_service_account']);
  });
});

describe('refuses', () => {
  it.each([
    [{ ...AWS, provider: 'aws_kms' }, ['provider']],
    [{ ...AWS, provider: undefined }, ['provider']],
    [{ ...AWS, kmsKeyRef: 'abcd-1234' }, ['kms_key_ref']],
    [{ ...AWS, kmsKeyRef: `${AWS.kmsKeyRef}\n` }, ['kms_key_ref']],
    [{ ...AWS, kmsKeyRef: 7 }, ['kms_key_ref']],
    [{ ...AWS, kmsKeyRef: 'arn:aws:kms:eu-west-1:123456789012:key/abcd-1234' }, ['config.region']],
    [{ ...AWS, config: { ...AWS.config, region: 'x.evil.example' } }, ['config.region']],
    // `kms.s3.amazonaws.com` is the bucket of whoever has that name.
    ...['s3', 's3-us-west-2', 'execute-api', 'a'].map((region): [WrittenKey, string[]] => [
      {
        ...AWS,
        kmsKeyRef: AWS.kmsKeyRef.replace(AWS.config.region, region),
        config: { ...AWS.config, region },
      },
      ['config.region'],
    ]),
    [{ ...AWS, config: { ...AWS.config, role_arn: 'arn:aws:iam::1:role/x' } }, ['config.role_arn']],
    [{ ...AWS, config: { ...AWS.config, external_id: 'a' } }, ['config.external_id']],
    [{ ...AWS, config: { ...AWS.config, endpoint: 'http://10.0.0.1' } }, ['config']],
    [{ ...AWS, config: 'region' }, ['config', 'config.region', 'config.role_arn']],
    [{ ...AWS, config: null }, ['config', 'config.region', 'config.role_arn']],
    [{ ...GCP, kmsKeyRef: `${GCP.kmsKeyRef}/cryptoKeyVersions/1` }, ['kms_key_ref']],
    [{ ...GCP, kmsKeyRef: 'projects/../locations/l/keyRings/r/cryptoKeys/k' }, ['kms_key_ref']],
    [{ ...GCP, kmsKeyRef: 'projects/p?x=/locations/l/keyRings/r/cryptoKeys/k' }, ['kms_key_ref']],
    [
      { ...GCP, config: { impersonate_service_account: 'a@b.example' } },
      ['config.impersonate_service_account'],
    ],
    [{ ...AZURE, kmsKeyRef: 'https://acme-vault.vault.azure.net.evil.example/keys/k' }, ['kms_key_ref']],
    [{ ...AZURE, kmsKeyRef: 'https://a@acme.vault.azure.net/keys/k' }, ['kms_key_ref']],
    [{ ...AZURE, config: { vault_url: 'https://other.vault.azure.net' } }, ['config.vault_url']],
    [
      { ...AZURE, config: { ...AZURE.config, client_id: APPLICATION.client_id } },
      ['config.azure_tenant_id', 'config.client_secret_env_var'],
    ],
    [
      { ...AZURE, config: { ...AZURE.config, ...APPLICATION, client_secret_env_var: 'DATABASE_URL' } },
      ['config.client_secret_env_var'],
    ],
    // The origin is the key's; what stands before the @ would be stored and shown.
    [
      {
        ...AZURE,
        config: { vault_url: AZURE.kmsKeyRef.replace('https://', 'https://me:secret@').split('/keys')[0] },
      },
      ['config.vault_url'],
    ],
    [
      {
        ...AZURE,
        config: { ...AZURE.config, ...APPLICATION, client_secret_env_var: 'KNOX_TENANT_KMS_A_FILE' },
      },
      ['config.client_secret_env_var'],
    ],
  ])('%j', (written, fields) => {
    expect(fieldsOf(written).toString().split(',').sort()).toEqual([...fields].sort());
  });

  it('a secret in place of the name of its variable, without repeating it', () => {
    const secret = 'q8Q~verySecretValue.of-an-application';
    const config = { ...AZURE.config, ...APPLICATION, client_secret_env_var: secret };
    const reading = read({ ...AZURE, config });
    expect(reading).toEqual({ kind: 'static_credential', field: 'config.client_secret_env_var' });
    expect(JSON.stringify(reading)).not.toContain(secret);
  });

  it.each([
    [{ access_key_id: 'x' }, 'config.access_key_id'],
    [{ Secret_Access_Key: 'x' }, 'config.Secret_Access_Key'],
    [{ secretAccessKey: null }, 'config.secretAccessKey'],
    [{ a: [{ b: { 'SESSION-TOKEN': 'x' } }] }, 'config.a[0].b.SESSION-TOKEN'],
    [{ credentials: {} }, 'config.credentials'],
    [{ nested: { private_key_id: 1 } }, 'config.nested.private_key_id'],
    [{ client_secret: 'x' }, 'config.client_secret'],
    [{ password: '' }, 'config.password'],
    [{ region: 'AKIAIOSFODNN7EXAMPLE' }, 'config.region'],
    [{ region: 'id=ASIAIOSFODNN7EXAMPLE;' }, 'config.region'],
    [{ deep: { note: '-----BEGIN PRIVATE KEY-----' } }, 'config.deep.note'],
    [{ external_id: '{"type": "service_account"}' }, 'config.external_id'],
    [{ external_id: '"{\\"type\\":\\"service_account\\"}"' }, 'config.external_id'],
    [{ AKIAIOSFODNN7EXAMPLE: 1 }, 'config (a name in it)'],
  ])('a long-lived credential wherever it stands: %j', (config, field) => {
    for (const provider of [AWS, GCP, AZURE]) {
      expect(read({ ...provider, config: { ...provider.config, ...config } })).toEqual({
        kind: 'static_credential',
        field,
      });
    }
  });

  it('a configuration that is too deep or too large to look through', () => {
    let deep: unknown = 'x';
    for (let level = 0; level < 40; level++) deep = { a: deep };
    expect(read({ ...AWS, config: deep }).kind).toBe('static_credential');
    expect(read({ ...AWS, config: Array(2_000).fill(1) }).kind).toBe('static_credential');
    expect(read({ ...AWS, kmsKeyRef: 'AKIAIOSFODNN7EXAMPLE' })).toEqual({
      kind: 'static_credential',
      field: 'kms_key_ref',
    });
  });

  it('a stored text that was changed', () => {
    expect(() =>
      cloudKeyOfText(
        '{"provider":"azure","kms_key_ref":"https://evil.example/keys/k","config":{}}',
        'tenant',
      ),
    ).toThrow('stored_key_invalid');
    expect(() => cloudKeyOfText(null, 'tenant')).toThrow('stored_key_invalid');
  });
});
