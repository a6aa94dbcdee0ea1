import { afterEach, expect, it } from 'vitest';
import { startAwsEmulator } from '../../../../testing/cloud-kms/aws-emulator.js';
import type { CloudEmulator } from '../../../../testing/cloud-kms/emulator.js';
import { startGcpEmulator } from '../../../../testing/cloud-kms/gcp-emulator.js';
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
