import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAwsEmulator } from '../testing/cloud-kms/aws-emulator.js';
import { type CloudEmulator, freshState } from '../testing/cloud-kms/emulator.js';
import { setEnvironment } from '../testing/cloud-kms/rig.js';
import { createTestCa } from '../testing/tls-upstream.js';
import { startWholeServer, type WholeServer } from '../testing/whole-server.js';

let emulator: CloudEmulator;
let server: WholeServer;
let former: Readonly<Record<string, string | undefined>>;

beforeAll(async () => {
  const ca = await createTestCa();
  emulator = await startAwsEmulator(ca);
  former = setEnvironment(emulator.environment);
  server = await startWholeServer({
    ca,
    records: Object.fromEntries(emulator.hosts.map((host) => [host, ['127.0.0.1']])),
    environment: {
      KNOX_KMS_OPERATOR_PROVIDER: 'aws',
      KNOX_KMS_OPERATOR_KEY_REF: emulator.key.keyRef,
      KNOX_KMS_OPERATOR_CONFIG: JSON.stringify({
        region: 'eu-central-1',
        role_arn: 'arn:aws:iam::111122223333:role/knoxcall',
        external_id: 'acme-external-id',
      }),
      KNOX_KMS_AWS_ENDPOINT: emulator.endpoints.awsKms ?? '',
      KNOX_KMS_STS_ENDPOINT: emulator.endpoints.awsSts ?? '',
    },
  });
});
afterAll(async () => {
  await server?.close();
  setEnvironment(former);
  await emulator?.close();
});

const keyCalls = () => emulator.calls.filter((call) => call !== 'identity');

it("has the operator's KMS wrap the first tenant's key, and open it after a restart", async () => {
  expect(keyCalls()).toEqual(['encrypt', 'decrypt', 'encrypt']);
  const vault = await server.api('POST', '/v1/vaults', { name: 'cards', token_format: 'generic' });
  expect(vault.status).toBe(201);
  const made = await server.api('POST', '/v1/vaults/cards/tokens', { value: '4242424242424242' });
  expect(made.status).toBe(201);
  await server.restart(() => (emulator.calls as string[]).splice(0));
  const read = await server.api('GET', `/v1/vaults/cards/tokens/${made.json.data.token}`);
  expect(read.json.data.value).toBe('4242424242424242');
  expect(keyCalls()).toEqual(['encrypt', 'decrypt', 'decrypt']);
});

it('seals while the grant is withdrawn, and is ready all the same', async () => {
  emulator.state.mayDecrypt = false;
  await server.restart(() => {});
  expect((await server.api('GET', '/readyz')).status).toBe(200);
  const refused = await server.api('POST', '/v1/vaults/cards/tokens', { value: '4242424242424242' });
  expect([refused.status, refused.json.error.type]).toEqual([503, 'tenant_sealed']);
  Object.assign(emulator.state, freshState());
  const made = await server.api('POST', '/v1/vaults/cards/tokens', { value: '4242424242424242' });
  expect(made.status).toBe(201);
});

it("opens the operator's endpoints to the KMS alone, not to what a tenant asks for", async () => {
  const before = emulator.calls.length;
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/proxy`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${emulator.endpoints.awsKms}/`,
      'content-type': 'application/json',
    },
    body: '{}',
  });
  expect(response.status).toBe(400);
  expect(((await response.json()) as { error: { type: string } }).error.type).toBe('invalid_proxy_url');
  expect(emulator.calls).toHaveLength(before);
});
