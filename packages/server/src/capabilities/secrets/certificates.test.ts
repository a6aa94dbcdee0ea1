import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { createTestCa, type IssuedCertificate, type TestCa } from '../../testing/tls-upstream.js';

const PATH = '/v1/secrets';
let harness: Harness;
let ca: TestCa;
let first: IssuedCertificate;
let second: IssuedCertificate;
let token: string;

beforeAll(async () => {
  harness = await createHarness();
  ca = await createTestCa();
  first = await ca.issue(['first.example.com']);
  second = await ca.issue(['second.example.com'], { expired: true });
  token = await harness.signIn(harness.tenant.ownerEmail);
  await call('POST', '/v1/environments', { name: 'staging' });
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown) =>
  harness.call(method, path, { key: harness.tenant.live, ...(body !== undefined && { body }) });
const fileOf = ({ certPem, keyPem }: IssuedCertificate) => ({
  certificate_content: `${ca.caPem}\n${certPem}`,
  private_key: keyPem,
});
let made = 0;
const make = async (more: object = {}) =>
  (await call('POST', `${PATH}/certificate`, { name: `CERT_${++made}`, ...fileOf(first), ...more })).json[
    'data'
  ]!;
const endOf = ({ certPem }: IssuedCertificate) =>
  new Date(new X509Certificate(certPem).validTo).toISOString();
const fieldsOf = ({ json }: Awaited<ReturnType<typeof call>>) => [
  json['error']?.['type'],
  Object.keys(json['fields'] ?? {}),
];

describe('POST /v1/secrets/certificate', () => {
  it('answers the secret, which ends with its certificate', async () => {
    const answer = await call('POST', `${PATH}/certificate`, { name: 'My cert', ...fileOf(first) });
    expect([answer.status, answer.json['data']]).toEqual([
      201,
      expect.objectContaining({
        name: 'My_cert',
        secret_type: 'certificate',
        environment_count: 1,
        allowed_hosts: null,
        expires_at: endOf(first),
        strict_expiry_enforcement: false,
      }),
    ]);
    expect(await make({ expires_at: null })).toMatchObject({ expires_at: null });
  });

  it('shows what it is, and nothing of the key', async () => {
    const { id } = await make();
    const answer = await call('GET', `${PATH}/${id}`);
    const [only] = answer.json['data']!['environments'] as unknown as JsonTree[];
    const leaf = new X509Certificate(first.certPem);
    expect(only!['certificate']).toEqual({
      subject: 'CN=first.example.com',
      issuer: 'CN=Test CA',
      serial_number: leaf.serialNumber.toLowerCase(),
      sha256_fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
      not_before: expect.stringMatching(/:\d\dZ$/),
      not_after: endOf(first).replace('.000Z', 'Z'),
      has_private_key: true,
      certificates: 2,
    });
    expect(answer.text).not.toContain('PRIVATE KEY');
  });

  it.each<[string, () => object]>([
    ['certificate_content', () => ({ certificate_content: 'nonsense' })],
    ['certificate_content', () => ({ private_key: second.keyPem })],
    ['private_key', () => ({ private_key: 'nonsense' })],
    ['certificate_type', () => ({ certificate_type: 'doc' })],
    ['certificate_content', () => ({ certificate_type: 'p12' })],
    ['environment', () => ({ environment: 'nowhere' })],
  ])('is 400 for a bad %s', async (field, more) => {
    const body = { name: `BAD_${++made}`, ...fileOf(first), ...more() };
    const answer = await call('POST', `${PATH}/certificate`, body);
    expect([answer.status, ...fieldsOf(answer)]).toEqual([400, 'validation_error', [field]]);
    expect(answer.text).not.toContain('BEGIN');
  });
});

describe('PUT /v1/secrets/:id/certificate', () => {
  it('replaces that of an environment; the end of the base one is that of the secret', async () => {
    const { id } = await make();
    const put = (body: object) => call('PUT', `${PATH}/${id}/certificate`, body);
    expect((await put({ ...fileOf(second), environment: 'staging' })).json['data']).toMatchObject({
      environment: 'staging',
      value_version: 1,
    });
    expect((await put(fileOf(second))).json['data']).toMatchObject({ value_version: 2 });
    const { data } = (await call('GET', `${PATH}/${id}`)).json;
    expect(data).toMatchObject({ expires_at: endOf(second) });
    expect(data!['environments']).toMatchObject([
      { environment_name: 'production', value_version: 2, expires_at_override: null },
      { environment_name: 'staging', value_version: 1, expires_at_override: endOf(second) },
    ]);
  });

  it('is shown to who may see it as PEM, key and chain', async () => {
    const { id } = await make();
    const answer = await harness.call('GET', `/admin/secrets/${id}/value`, { token });
    const value = String(answer.json['data']!['value']);
    const [leaf = ''] = /-----BEGIN CERTIFICATE[\s\S]+?END CERTIFICATE-----/.exec(value) ?? [];
    expect(new X509Certificate(leaf).checkPrivateKey(createPrivateKey(value))).toBe(true);
    expect(value.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });
});

describe('what is of another type', () => {
  it('is refused by its field', async () => {
    const { id } = await make();
    const { id: text } = (await call('POST', PATH, { name: 'TEXT', value: 'v' })).json['data']!;
    expect(fieldsOf(await call('PUT', `${PATH}/${id}/value`, { value: 'v' }))[1]).toEqual(['value']);
    expect(fieldsOf(await call('PATCH', `${PATH}/${id}`, { value: 'v' }))[1]).toEqual(['value']);
    const hosts = { allowed_hosts: ['a.example.com'] };
    expect(fieldsOf(await call('PATCH', `${PATH}/${id}`, hosts))[1]).toEqual(['allowed_hosts']);
    expect(fieldsOf(await call('PUT', `${PATH}/${text}/certificate`, fileOf(first)))[1]).toEqual([
      'certificate_content',
    ]);
  });
});
