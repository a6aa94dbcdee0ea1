import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { createTestCa } from '../../testing/tls-upstream.js';
import type { SecretUse } from './types.js';

const HOST = 'api.example.com';
const EPHEMERAL: SecretUse = { via: 'ephemeral', environment: null, host: HOST, isPlain: false };
const ROUTE: SecretUse = { via: 'route', environment: null, host: HOST, isPlain: false };
const DAY = 86_400_000;
let harness: Harness;

beforeAll(async () => {
  harness = await createHarness();
  await post('/v1/environments', { name: 'staging' });
});
afterAll(() => harness.close());

async function post(path: string, body: object): Promise<JsonTree> {
  const answer = await harness.call('POST', path, { key: harness.tenant.live, body });
  expect(answer.status, answer.text).toBe(201);
  return answer.json['data'] as JsonTree;
}
const make = (name: string, more: object = {}) =>
  post('/v1/secrets', { name, value: `value of ${name}`, ...more });
const scopeOf = (mode: 'live' | 'test' = 'live', tenant = harness.tenant) =>
  harness.callerOf(tenant, mode).principal.scope;
const resolve = (text: string, use: SecretUse, by: 'name' | 'id' = 'name', scope = scopeOf()) =>
  harness.secrets.resolve(scope, { by, text }, use);
const refusal = (type: string) => expect.objectContaining({ type });
const inDays = (days: number) => new Date(harness.clock.nowMs() + days * DAY).toISOString();

describe('by route', () => {
  it('an unbound secret goes anywhere, a bound one where it is bound', async () => {
    const { id } = await make('ROUTED');
    const found = await resolve('routed', { ...ROUTE, host: 'any.example.net' });
    expect({ ...found, value: found.value.reveal() }).toEqual({
      secretId: id,
      name: 'ROUTED',
      value: 'value of ROUTED',
      isExpired: false,
    });
    expect((await resolve(id as never, ROUTE, 'id')).name).toBe('ROUTED');
    await make('BOUND', { allowed_hosts: [HOST] });
    expect((await resolve('BOUND', ROUTE)).name).toBe('BOUND');
    await expect(resolve('BOUND', { ...ROUTE, host: 'other.example.com' })).rejects.toEqual(
      refusal('egress_blocked'),
    );
  });

  it('a bound secret goes over TLS only, an unbound one without it too', async () => {
    await make('OVER_TLS', { allowed_hosts: [HOST] });
    await make('OVER_ANY');
    const plain = { ...ROUTE, isPlain: true };
    const refused = { type: 'egress_blocked', publicMessage: expect.stringContaining('over TLS only') };
    await expect(resolve('OVER_TLS', plain)).rejects.toMatchObject(refused);
    const reference = { by: 'name', text: 'OVER_TLS' } as const;
    await expect(harness.secrets.check(scopeOf(), reference, plain)).rejects.toMatchObject(refused);
    expect((await resolve('OVER_ANY', plain)).name).toBe('OVER_ANY');
  });

  it('the value is that of the environment, else of the base', async () => {
    const { id } = await make('STAGED');
    const body = { value: 'staged', environment: 'staging' };
    const staging = { ...ROUTE, environment: 'staging' };
    expect((await resolve('STAGED', staging)).value.reveal()).toBe('value of STAGED');
    await harness.call('PUT', `/v1/secrets/${id}/value`, { key: harness.tenant.live, body });
    expect((await resolve('STAGED', staging)).value.reveal()).toBe('staged');
    expect((await resolve('STAGED', ROUTE)).value.reveal()).toBe('value of STAGED');
  });
});

describe('by an ephemeral call', () => {
  it('a bound secret goes where it is bound, an unbound one nowhere', async () => {
    await make('PINNED', { allowed_hosts: ['*.example.com'] });
    expect((await resolve('PINNED', EPHEMERAL)).value.reveal()).toBe('value of PINNED');
    for (const host of ['example.com', 'api.example.com.evil.example'])
      await expect(resolve('PINNED', { ...EPHEMERAL, host })).rejects.toEqual(refusal('egress_blocked'));
    await make('LOOSE');
    await expect(resolve('LOOSE', EPHEMERAL)).rejects.toEqual(refusal('egress_blocked'));
  });
});

describe('what is not found', () => {
  it('is told alike, in every tenant and mode', async () => {
    const { id } = await make('HERE', { allowed_hosts: [HOST] });
    const elsewhere = [scopeOf('test'), scopeOf('live', harness.other)];
    const missing = refusal('secret_not_found');
    for (const scope of elsewhere) {
      await expect(resolve('HERE', EPHEMERAL, 'name', scope)).rejects.toEqual(missing);
      await expect(resolve(id as never, ROUTE, 'id', scope)).rejects.toEqual(missing);
    }
    await expect(resolve('HERE', ROUTE, 'id')).rejects.toEqual(missing);
    await expect(resolve(id as never, ROUTE, 'name')).rejects.toEqual(missing);
  });
});

describe('an expiry', () => {
  it('that is strict stops the value; another one lets it go and warns once an hour', async () => {
    const end = { expires_at: inDays(1), allowed_hosts: [HOST] };
    await make('STRICT', { ...end, strict_expiry_enforcement: true });
    const { id } = await make('LAX', end);
    expect((await resolve('STRICT', EPHEMERAL)).isExpired).toBe(false);
    harness.clock.advance(DAY);
    await expect(resolve('STRICT', EPHEMERAL)).rejects.toEqual(refusal('secret_expired'));
    await expect(harness.secrets.check(scopeOf(), { by: 'name', text: 'STRICT' }, EPHEMERAL)).rejects.toEqual(
      refusal('secret_expired'),
    );
    expect((await resolve('LAX', EPHEMERAL)).isExpired).toBe(true);
    await resolve('LAX', EPHEMERAL);
    const warnings = () => harness.logLines.filter((line) => line.includes('expired secret is in use'));
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toContain(String(id));
    harness.clock.advance(3_600_000);
    await resolve('LAX', EPHEMERAL);
    expect(warnings()).toHaveLength(2);
    expect(harness.logLines.join('')).not.toContain('value of LAX');
  });

  it('of an environment stands before that of the secret', async () => {
    const { id } = await make('OVER', { expires_at: inDays(-1), strict_expiry_enforcement: true });
    const body = { value: 'v', environment: 'staging', expires_at_override: inDays(1) };
    await harness.call('PUT', `/v1/secrets/${id}/value`, { key: harness.tenant.live, body });
    await expect(resolve('OVER', ROUTE)).rejects.toEqual(refusal('secret_expired'));
    expect((await resolve('OVER', { ...ROUTE, environment: 'staging' })).isExpired).toBe(false);
  });
});

describe('a certificate', () => {
  it('is no text for a placeholder, and comes with its key for mTLS', async () => {
    const ca = await createTestCa();
    const { certPem, keyPem } = await ca.issue(['client.example.com']);
    const file = { certificate_content: `${certPem}\n${ca.caPem}`, private_key: keyPem };
    const { id } = await post('/v1/secrets/certificate', { name: 'CLIENT', ...file });
    await expect(resolve('CLIENT', ROUTE)).rejects.toEqual(refusal('validation_error'));
    const found = await harness.secrets.certificateOf(scopeOf(), id as never, null);
    expect(found.key.reveal()).toContain('BEGIN PRIVATE KEY');
    expect(found.certificatePem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  it('is refused where there is none, or no key to it', async () => {
    const { id: text } = await make('TEXT');
    const { caPem } = await createTestCa();
    const { id: keyless } = await post('/v1/secrets/certificate', { name: 'CA', certificate_content: caPem });
    const of = (id: unknown) => harness.secrets.certificateOf(scopeOf(), id as never, null);
    for (const id of [text, keyless]) await expect(of(id)).rejects.toEqual(refusal('validation_error'));
    await expect(of('00000000-0000-4000-8000-00000000dead')).rejects.toEqual(refusal('secret_not_found'));
  });
});
