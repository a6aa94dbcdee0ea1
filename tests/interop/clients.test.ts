import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bindingOf } from '../../packages/server/src/capabilities/kms/providers/binding.js';
import {
  packWrapped,
  unpackWrapped,
} from '../../packages/server/src/capabilities/kms/providers/cloud/wrapped-bytes.js';
import type { WrapContext } from '../../packages/server/src/capabilities/kms/providers/types.js';
import type { TenantId } from '../../packages/server/src/kernel/ids.js';
import { crc32c } from '../../packages/server/src/platform/crypto/crc32c.js';
import { sha256 } from '../../packages/server/src/platform/crypto/hashing.js';
import { startAwsEmulator } from '../../packages/server/src/testing/cloud-kms/aws-emulator.js';
import {
  AZURE_SECRET_VARIABLE,
  type AzureEmulator,
  startAzureEmulator,
} from '../../packages/server/src/testing/cloud-kms/azure-emulator.js';
import type { CloudEmulator } from '../../packages/server/src/testing/cloud-kms/emulator.js';
import { startGcpEmulator } from '../../packages/server/src/testing/cloud-kms/gcp-emulator.js';
import { type CloudRig, startCloudRig } from '../../packages/server/src/testing/cloud-kms/rig.js';
import type { TestCa } from '../../packages/server/src/testing/tls-upstream.js';

const SCRIPT = fileURLToPath(new URL('clients.py', import.meta.url));
const CONTEXT: WrapContext = { tenantId: 'b4f9a6be-7d0c-4f8e-9d3c-0a3f4a0e6c11' as TenantId, version: 3 };
const DEK = Buffer.alloc(32, 0x5a);
const BINDING = bindingOf(CONTEXT);

/** What each cloud is given to wrap, which at Azure holds the binding too. */
const CLOUDS: Record<string, { start(ca: TestCa): Promise<CloudEmulator>; plaintext: Buffer }> = {
  aws: { start: startAwsEmulator, plaintext: DEK },
  gcp: { start: startGcpEmulator, plaintext: DEK },
  azure: {
    start: startAzureEmulator,
    plaintext: Buffer.concat([Buffer.of(1), sha256(BINDING), DEK]),
  },
};

describe.each(Object.entries(CLOUDS))("%s's own client for Python", (cloud, { start, plaintext }) => {
  let rig: CloudRig<CloudEmulator>;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'knox-interop-'));
    rig = await startCloudRig((ca) => {
      writeFileSync(join(dir, 'ca.pem'), ca.caPem);
      return start(ca);
    });
  });
  afterAll(async () => {
    await rig?.close();
    rmSync(dir, { recursive: true });
  });

  async function ask(act: 'encrypt' | 'decrypt', key: string, value: Buffer) {
    const { emulator } = rig;
    const ca = join(dir, 'ca.pem');
    const secret = (emulator as AzureEmulator).variables?.get(AZURE_SECRET_VARIABLE);
    const asked = {
      cloud,
      act,
      key,
      value: value.toString('base64'),
      endpoints: emulator.endpoints,
      config: emulator.key.config,
      context: { 'knoxcall:tenant_id': CONTEXT.tenantId, 'knoxcall:key_version': String(CONTEXT.version) },
      aad: BINDING.toString('base64'),
      crcs: { aad: crc32c(BINDING), value: crc32c(value) },
      identity: emulator.environment['GOOGLE_APPLICATION_CREDENTIALS'],
      secret,
      ca,
    };
    const child = spawn(process.env['TEST_INTEROP_PYTHON']!, [SCRIPT], {
      env: { PATH: process.env['PATH'], REQUESTS_CA_BUNDLE: ca, ...emulator.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 30_000,
    });
    const written = { out: '', error: '' };
    child.stdout.on('data', (chunk) => {
      written.out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      written.error += chunk;
    });
    child.stdin.end(JSON.stringify(asked));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(written.error.slice(-2_000));
    const answer = JSON.parse(written.out) as { key: string; value: string };
    return { keyName: answer.key, bytes: Buffer.from(answer.value, 'base64') };
  }

  it('opens what we have wrapped, bound as we bind it', async () => {
    const wrapped = await rig.providers(rig.emulator.key, 'customer_kms').wrap(DEK, CONTEXT);
    const { keyName, ciphertext } = unpackWrapped(wrapped);
    // Google decrypts by the key, whose version the ciphertext holds.
    const key = keyName.replace(/\/cryptoKeyVersions\/\d+$/, '');
    const opened = await ask('decrypt', key, ciphertext);
    expect(opened.bytes).toEqual(plaintext);
  });

  it('wraps what we open', async () => {
    const { keyName, bytes } = await ask('encrypt', rig.emulator.key.keyRef, plaintext);
    const wrapped = packWrapped({ keyName, ciphertext: bytes });
    expect(await rig.providers(rig.emulator.key, 'customer_kms').unwrap(wrapped, CONTEXT)).toEqual(DEK);
  });
});
