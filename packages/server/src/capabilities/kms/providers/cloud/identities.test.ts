import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startAwsEmulator } from '../../../../testing/cloud-kms/aws-emulator.js';
import { AZURE_OBJECT_ID, startAzureEmulator } from '../../../../testing/cloud-kms/azure-emulator.js';
import type { CloudEmulator } from '../../../../testing/cloud-kms/emulator.js';
import { startGcpEmulator } from '../../../../testing/cloud-kms/gcp-emulator.js';
import {
  startAzureMachine,
  startAzureWorkload,
  startGcpMachine,
} from '../../../../testing/cloud-kms/machine.js';
import { type CloudRig, setEnvironment, startCloudRig } from '../../../../testing/cloud-kms/rig.js';

let rig: CloudRig<CloudEmulator>;
afterEach(() => rig?.close());

it('finds the account of AWS by its own identity, in the region that the machine names or none', async () => {
  rig = await startCloudRig(startAwsEmulator);
  const former = setEnvironment({ AWS_REGION: 'eu-central-1' });
  try {
    expect(await rig.clouds.ownIdentity('aws')).toBe('999988887777');
  } finally {
    setEnvironment(former);
  }
  expect(rig.emulator.calls).toEqual(['whoami']);
});

it('says nothing of an identity that it does not have', async () => {
  rig = await startCloudRig(startAwsEmulator);
  const former = setEnvironment({ AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined });
  try {
    expect(await rig.clouds.ownIdentity('aws')).toBeNull();
  } finally {
    setEnvironment(former);
  }
});

it('finds no e-mail where a federated identity impersonates nobody', async () => {
  rig = await startCloudRig(startGcpEmulator);
  expect(await rig.clouds.ownIdentity('gcp')).toBeNull();
});

it('tells a role that asks for its external id from one that does not', async () => {
  rig = await startCloudRig(startAwsEmulator);
  const { key, state } = rig.emulator;
  expect(await rig.clouds.mayAssumeWithoutExternalId(key)).toBe(false);
  state.asksForExternalId = false;
  expect(await rig.clouds.mayAssumeWithoutExternalId(key)).toBe(true);
  await expect(rig.providers(key, 'customer_kms').probe()).resolves.toBeUndefined();
  rig.egressRig.dns.set('sts.aws.emulator.test', null);
  rig.egressRig.clock.advance(61_000);
  await expect(rig.clouds.mayAssumeWithoutExternalId(key)).rejects.toMatchObject({ reason: 'unreachable' });
});

it('asks nobody about a key of another cloud', async () => {
  rig = await startCloudRig(startGcpEmulator);
  expect(await rig.clouds.mayAssumeWithoutExternalId(rig.emulator.key)).toBe(false);
  expect(rig.emulator.calls).toEqual([]);
});

it('of Azure, from a pod, says who it is', async () => {
  rig = await startCloudRig(startAzureWorkload);
  expect(await rig.clouds.ownIdentity('azure')).toBe(AZURE_OBJECT_ID);
  rig.emulator.state.isTrusted = false;
  expect(await rig.clouds.ownIdentity('azure')).toBeNull();
});

it('says that the token of a pod is not there, or that it is not whole', async () => {
  rig = await startCloudRig(async (ca) => {
    const emulator = await startAzureWorkload(ca);
    return { ...emulator, azureWorkload: { ...emulator.azureWorkload!, tokenFile: '/nonexistent' } };
  });
  const probe = () => rig.providers(rig.emulator.key, 'customer_kms').probe();
  await expect(probe()).rejects.toMatchObject({ reason: 'access_denied', stage: 'identity', code: 'ENOENT' });
  await rig.close();
  rig = await startCloudRig(async (ca) => {
    const emulator = await startAzureWorkload(ca);
    return { ...emulator, azureWorkload: { ...emulator.azureWorkload!, tenantId: null } };
  });
  await expect(probe()).rejects.toMatchObject({ code: 'workload_variables_missing' });
});

it('of Google, from a machine, is let at the key and says who it is', async () => {
  rig = await startCloudRig(startGcpMachine);
  await rig.providers(rig.emulator.key, 'customer_kms').probe();
  expect(rig.emulator.calls).toEqual(['identity', 'encrypt', 'identity', 'decrypt']);
  expect(await rig.clouds.ownIdentity('gcp')).toBe('machine@acme.iam.gserviceaccount.com');
});

/** The machine names proxies, to which nothing may connect meanwhile. */
async function withProxies(act: () => Promise<void>): Promise<void> {
  let connections = 0;
  const proxy = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];
  const former = setEnvironment(Object.fromEntries(names.map((name) => [name, url])));
  try {
    await act();
    expect(connections).toBe(0);
  } finally {
    setEnvironment(former);
    await new Promise((resolve) => proxy.close(resolve));
  }
}

// One rig: the library finds the metadata service once for the whole process.
it('of Azure, from a machine, is let at the key as itself, says who it is, asks anew and no proxy', async () => {
  rig = await startCloudRig(startAzureMachine);
  const { calls, state, key } = rig.emulator;
  const probe = () => rig.providers(key, 'customer_kms').probe();
  await withProxies(probe);
  expect(calls).toEqual(['identity', 'encrypt', 'identity', 'decrypt']);
  expect(await rig.clouds.ownIdentity('azure')).toBe(AZURE_OBJECT_ID);
  for (const answers of ['huge', 'html', 'redirect'] as const) {
    state.identityAnswers = answers;
    await expect(probe()).rejects.toMatchObject({ reason: 'unreachable', stage: 'identity' });
  }
  state.identityAnswers = 'as_asked';
  state.isTrusted = false;
  await expect(probe()).rejects.toMatchObject({ reason: 'access_denied', stage: 'identity' });
  expect(await rig.clouds.ownIdentity('azure')).toBeNull();
});

describe.each([
  ['AWS', startAwsEmulator],
  ['Google, by a token of the machine', startGcpEmulator],
  ['Google, from a machine', startGcpMachine],
  ['Azure', startAzureEmulator],
  ['Azure, from a pod', startAzureWorkload],
])('no proxy of the machine is asked: %s', (_cloud, start) => {
  it('for a whole probe', async () => {
    rig = await startCloudRig(start);
    await withProxies(() => rig.providers(rig.emulator.key, 'customer_kms').probe());
  });
});

it('refuses credentials of Google whose parts would ask by a way of their own', async () => {
  rig = await startCloudRig(startGcpEmulator);
  const dir = mkdtempSync(join(tmpdir(), 'knox-gcp-'));
  writeFileSync(
    join(dir, 'identity.json'),
    JSON.stringify({
      type: 'impersonated_service_account',
      service_account_impersonation_url:
        'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken',
      source_credentials: { type: 'authorized_user', client_id: 'a', client_secret: 'b', refresh_token: 'c' },
    }),
  );
  const former = setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: join(dir, 'identity.json') });
  try {
    await expect(rig.providers(rig.emulator.key, 'customer_kms').probe()).rejects.toMatchObject({
      reason: 'access_denied',
      stage: 'identity',
      code: 'credentials_not_supported',
    });
  } finally {
    setEnvironment(former);
    rmSync(dir, { recursive: true });
  }
});
