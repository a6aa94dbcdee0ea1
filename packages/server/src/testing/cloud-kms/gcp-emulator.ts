import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GcpKey } from '../../capabilities/kms/cloud-key.js';
import { crc32c } from '../../platform/crypto/crc32c.js';
import type { TestCa } from '../tls-upstream.js';
import {
  type CloudEmulator,
  type EmulatorAnswer,
  type EmulatorRequest,
  freshState,
  hostileAnswer,
  json,
  plaintextOf,
  startEmulatorServer,
} from './emulator.js';

const HOSTS = ['kms.gcp.emulator.test', 'iam.gcp.emulator.test', 'sts.gcp.emulator.test'] as const;
const RING = 'projects/acme/locations/europe-west3/keyRings/knoxcall/cryptoKeys/';
const ACCOUNT = 'knoxcall@acme.iam.gserviceaccount.com';
const SUBJECT_TOKEN = 'the-token-of-the-machine';

export interface GcpEmulator extends CloudEmulator {
  /** Of the server. */
  readonly ownToken: string;
}

/**
 * Cloud KMS and IAM Credentials by REST, and the token service that a workload's own identity asks (RFC 8693). Tokens are
 * taken only for what they were given for; numbers of 64 bits are text, as in Google's JSON; checksums are compared on the
 * way in and sent on the way out; a wrong binding is INVALID_ARGUMENT. `npm run test:interop` has Google's client speak
 * with it.
 */
export async function startGcpEmulator(ca: TestCa): Promise<GcpEmulator> {
  const state = freshState();
  const calls: string[] = [];
  const secrets: string[] = [SUBJECT_TOKEN];
  const keys = new Map([`${RING}main`, `${RING}other`].map((name) => [name, randomBytes(32)]));
  const own = `own-${randomBytes(20).toString('hex')}`;
  const impersonated = new Set<string>();
  secrets.push(own);

  function exchange(request: EmulatorRequest): EmulatorAnswer {
    const form = new URLSearchParams(request.rawBody.toString('utf8'));
    if (form.get('subject_token') !== SUBJECT_TOKEN) return json(401, { error: 'invalid_grant' });
    return json(200, {
      access_token: own,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 3600,
    });
  }

  function impersonate(request: EmulatorRequest): EmulatorAnswer | null {
    calls.push('identity');
    const hostile = hostileAnswer(state.identityAnswers);
    if (hostile !== undefined) return hostile;
    const { scope } = JSON.parse(request.rawBody.toString('utf8')) as { scope: string[] };
    const isRight =
      request.path === `/v1/projects/-/serviceAccounts/${ACCOUNT}:generateAccessToken` &&
      request.headers['authorization'] === `Bearer ${own}` &&
      scope.join() === 'https://www.googleapis.com/auth/cloudkms';
    if (!isRight || !state.isTrusted) return fault(403, 'PERMISSION_DENIED');
    const accessToken = `impersonated-${randomBytes(20).toString('hex')}`;
    impersonated.add(accessToken);
    secrets.push(accessToken);
    return json(200, { accessToken, expireTime: '2099-01-01T00:00:00Z' });
  }

  function useKey(request: EmulatorRequest): EmulatorAnswer | null {
    const [, name = '', verb = ''] = /^\/v1\/(.*):(encrypt|decrypt)$/.exec(request.path) ?? [];
    calls.push(verb);
    const hostile = hostileAnswer(state.answers);
    if (hostile !== undefined) return hostile;
    if (state.answers === 'expired') return fault(401, 'UNAUTHENTICATED');
    if (state.answers === 'throttled') return fault(429, 'RESOURCE_EXHAUSTED');
    if (state.answers === 'failing') return fault(503, 'UNAVAILABLE');
    const token = request.headers['authorization']?.replace('Bearer ', '') ?? '';
    if (!impersonated.has(token)) return fault(401, 'UNAUTHENTICATED');
    if (!(verb === 'encrypt' ? state.mayEncrypt : state.mayDecrypt)) return fault(403, 'PERMISSION_DENIED');
    const key = keys.get(name);
    if (!key) return fault(404, 'NOT_FOUND');
    if (!state.isEnabled) return fault(400, 'FAILED_PRECONDITION');
    const input = JSON.parse(request.rawBody.toString('utf8')) as Record<string, string>;
    for (const field of ['plaintext', 'ciphertext', 'additionalAuthenticatedData']) {
      const bytes = Buffer.from(input[field] ?? '', 'base64');
      if (input[field] !== undefined && input[`${field}Crc32c`] !== String(crc32c(bytes))) {
        return fault(400, 'INVALID_ARGUMENT');
      }
    }
    const aad = Buffer.from(input['additionalAuthenticatedData'] ?? '', 'base64');
    return verb === 'encrypt' ? encrypt(name, key, aad, input) : decrypt(key, aad, input);
  }

  function encrypt(name: string, key: Buffer, aad: Buffer, input: Record<string, string>): EmulatorAnswer {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
    secrets.push(input['plaintext'] ?? '');
    const body = Buffer.concat([
      cipher.update(Buffer.from(input['plaintext'] ?? '', 'base64')),
      cipher.final(),
    ]);
    const blob = Buffer.concat([iv, cipher.getAuthTag(), body]);
    return json(200, {
      name: `${name}/cryptoKeyVersions/1`,
      ciphertext: blob.toString('base64'),
      ciphertextCrc32c: String(state.answers === 'broken' ? 1 : crc32c(blob)),
      verifiedPlaintextCrc32c: true,
      verifiedAdditionalAuthenticatedDataCrc32c: true,
      protectionLevel: 'SOFTWARE',
    });
  }

  function decrypt(key: Buffer, aad: Buffer, input: Record<string, string>): EmulatorAnswer {
    const blob = Buffer.from(input['ciphertext'] ?? '', 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(0, 12), { authTagLength: 16 })
        .setAAD(aad)
        .setAuthTag(blob.subarray(12, 28));
      const plaintext = plaintextOf(
        state,
        Buffer.concat([decipher.update(blob.subarray(28)), decipher.final()]),
      );
      return json(200, {
        plaintext: plaintext.toString('base64'),
        plaintextCrc32c: String(state.answers === 'broken' ? 1 : crc32c(plaintext)),
        usedPrimary: true,
      });
    } catch {
      return fault(400, 'INVALID_ARGUMENT');
    }
  }

  const server = await startEmulatorServer(ca, HOSTS, (request) => {
    if (request.host.startsWith('sts.')) return exchange(request);
    return request.host.startsWith('iam.') ? impersonate(request) : useKey(request);
  });
  const dir = mkdtempSync(join(tmpdir(), 'knox-gcp-'));
  writeFileSync(join(dir, 'token'), SUBJECT_TOKEN);
  writeFileSync(
    join(dir, 'identity.json'),
    JSON.stringify({
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/one',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `https://${HOSTS[2]}:${server.port}/v1/token`,
      credential_source: { file: join(dir, 'token') },
    }),
  );
  const keyOf = (name: string): GcpKey => ({
    provider: 'gcp',
    keyRef: `${RING}${name}`,
    config: { serviceAccount: ACCOUNT, projectId: null },
  });
  return {
    endpoints: {
      gcpKms: `https://${HOSTS[0]}:${server.port}`,
      gcpIam: `https://${HOSTS[1]}:${server.port}`,
    },
    key: keyOf('main'),
    otherKey: keyOf('other'),
    environment: { GOOGLE_APPLICATION_CREDENTIALS: join(dir, 'identity.json') },
    hosts: HOSTS,
    state,
    calls,
    secrets,
    ownToken: own,
    async close() {
      await server.close();
      rmSync(dir, { recursive: true });
    },
  };
}

function fault(status: number, name: string): EmulatorAnswer {
  return json(status, { error: { code: status, status: name, message: `${name} of the emulator` } });
}
