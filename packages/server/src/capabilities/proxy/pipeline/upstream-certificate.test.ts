import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JsonTree } from '../../../testing/calls.js';
import { type EgressRig, startEgressRig } from '../../../testing/egress-rig.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import {
  createTestCa,
  startTlsUpstream,
  type TestCa,
  type TlsUpstream,
} from '../../../testing/tls-upstream.js';
import { upstreamCertificate } from './upstream-certificate.js';

let harness: Harness;
let rig: EgressRig;
let clientCa: TestCa;
let upstream: TlsUpstream;
let id: string;

beforeAll(async () => {
  const ca = await createTestCa();
  clientCa = await createTestCa('Client CA');
  upstream = await startTlsUpstream({
    ca,
    names: ['api.example.com'],
    tls: { requestCert: true, rejectUnauthorized: true, ca: clientCa.caPem },
    handler(request, response) {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      request.resume().on('end', () => response.end(String(subject.CN)));
    },
  });
  rig = await startEgressRig({
    allowPrivateUpstreams: '127.0.0.0/8',
    extraCaPem: ca.caPem,
    records: { 'api.example.com': ['127.0.0.1'] },
  });
  harness = await createHarness();
  await call('POST', '/v1/environments', { name: 'staging' });
  id = (await call('POST', '/v1/secrets/certificate', { name: 'CLIENT', ...(await file('one')) }))[
    'id'
  ] as string;
});
afterAll(() => Promise.all([rig.close(), upstream.close(), harness.close()]));

async function call(method: string, path: string, body: object): Promise<JsonTree> {
  const answer = await harness.call(method, path, { key: harness.tenant.live, body });
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer.json['data'] as JsonTree;
}
async function file(name: string) {
  const { certPem, keyPem } = await clientCa.issue([name], { isClient: true });
  return { certificate_content: certPem, private_key: keyPem };
}
const replace = async (name: string, more = {}) =>
  call('PUT', `/v1/secrets/${id}/certificate`, { ...(await file(name)), ...more });
async function shown(
  environment = 'production',
  tenant = harness.tenant,
  call = { usedExpired: false },
): Promise<string> {
  const { scope } = harness.callerOf(tenant, 'live').principal;
  const clientCertificate = await upstreamCertificate(harness.secrets, call, scope, id, environment);
  const url = `https://api.example.com:${upstream.port}/`;
  return (await rig.send(url, { clientCertificate })).body.toString();
}

it('is that of the environment, and a new one at once', async () => {
  expect([await shown(), await shown(), await shown('staging')]).toEqual(['one', 'one', 'one']);
  expect(upstream.connectionCount()).toBe(1);
  await replace('two');
  await replace('three', { environment: 'staging' });
  expect([await shown(), await shown('staging'), await shown()]).toEqual(['two', 'three', 'two']);
  expect(upstream.connectionCount()).toBe(3);
});

it('is shown although it has expired, where the expiry is not strict, and the call tells', async () => {
  const [valid, expired] = [{ usedExpired: false }, { usedExpired: false }];
  await shown('production', harness.tenant, valid);
  await call('PATCH', `/v1/secrets/${id}`, { expires_at: '2020-01-01T00:00:00Z' });
  await shown('production', harness.tenant, expired);
  expect([valid.usedExpired, expired.usedExpired]).toEqual([false, true]);
  await call('PATCH', `/v1/secrets/${id}`, { strict_expiry_enforcement: true });
  await expect(shown()).rejects.toEqual(expect.objectContaining({ type: 'secret_expired' }));
  await call('PATCH', `/v1/secrets/${id}`, { expires_at: null, strict_expiry_enforcement: false });
});

it("is no other tenant's, and none that is gone", async () => {
  const refused = expect.objectContaining({ type: 'secret_not_found' });
  await expect(shown('production', harness.other)).rejects.toEqual(refused);
  expect((await harness.call('DELETE', `/v1/secrets/${id}`, { key: harness.tenant.live })).status).toBe(200);
  await expect(shown()).rejects.toEqual(refused);
});
