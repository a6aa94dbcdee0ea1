import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import type { AzureKey } from '../../capabilities/kms/cloud-key.js';
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

const HOSTS = ['vault.azure.emulator.test', 'login.azure.emulator.test'] as const;
const VAULT = 'https://acme-vault.vault.azure.net';
const DIRECTORY = '11111111-2222-4333-8444-555555555555';
const CLIENT_ID = '66666666-7777-4888-8999-000000000000';
const CLIENT_SECRET = 'the-secret-of-the-application';
/** Of the server's own identity. */
export const AZURE_OBJECT_ID = '77777777-8888-4999-8aaa-bbbbbbbbbbbb';
export const AZURE_SECRET_VARIABLE = 'KNOX_TENANT_KMS_ACME_AZURE';
/** From it a client learns whose tokens are taken. */
const CHALLENGE = `Bearer authorization="https://login.microsoftonline.com/${DIRECTORY}", resource="https://vault.azure.net"`;
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

/** What Kubernetes signs for a workload. */
export const AZURE_ASSERTION = 'the-token-of-the-workload';
export const AZURE_APPLICATION = {
  azureTenantId: DIRECTORY,
  clientId: CLIENT_ID,
  secretVariable: AZURE_SECRET_VARIABLE,
};

export interface AzureEmulator extends CloudEmulator {
  readonly key: AzureKey;
  readonly otherKey: AzureKey;
  /** A token of the server's own identity that the vault takes. */
  giveToken(): string;
  /** What a client secret's variable holds; a test may take it away. */
  readonly variables: Map<string, string>;
  /** A new version of the key; the former one opens what it wrapped. */
  rotate(): void;
}

/**
 * Key Vault and the token endpoint of an application's directory. A call without a token gets the challenge by which
 * clients find the directory; the version in a path may be empty; the answer names the version used; a wrong ciphertext is
 * 400 `BadParameter`, what the role does not grant 403. `npm run test:interop` has Microsoft's client speak with it.
 */
export async function startAzureEmulator(ca: TestCa): Promise<AzureEmulator> {
  const state = freshState();
  const calls: string[] = [];
  const secrets: string[] = [CLIENT_SECRET, AZURE_ASSERTION];
  const tokens = new Set<string>();
  /** By name, then version; the last is the newest. */
  const keys = new Map(['main', 'other'].map((name) => [name, [newVersion()]]));

  function login(request: EmulatorRequest): EmulatorAnswer | null {
    const origin = `https://${request.host}/${DIRECTORY}`;
    if (request.path === `/${DIRECTORY}/v2.0/.well-known/openid-configuration`) {
      return json(200, {
        issuer: `${origin}/v2.0`,
        token_endpoint: `${origin}/oauth2/v2.0/token`,
        authorization_endpoint: `${origin}/oauth2/v2.0/authorize`,
        jwks_uri: `${origin}/discovery/v2.0/keys`,
      });
    }
    calls.push('identity');
    const hostile = hostileAnswer(state.identityAnswers);
    if (hostile !== undefined) return hostile;
    const form = new URLSearchParams(request.rawBody.toString('utf8'));
    const isRight =
      request.path === `/${DIRECTORY}/oauth2/v2.0/token` &&
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === CLIENT_ID &&
      (form.get('client_secret') === CLIENT_SECRET || isAssertion(form)) &&
      (form.get('scope') ?? '').split(' ').includes('https://vault.azure.net/.default');
    if (!isRight || !state.isTrusted) {
      return json(401, { error: 'invalid_client', error_description: `AADSTS7000215: ${CLIENT_SECRET}` });
    }
    return json(200, { token_type: 'Bearer', expires_in: 3599, access_token: giveToken() });
  }

  function giveToken(): string {
    const claims = Buffer.from(JSON.stringify({ oid: AZURE_OBJECT_ID })).toString('base64url');
    const token = `e30.${claims}.${randomBytes(20).toString('hex')}`;
    tokens.add(token);
    secrets.push(token);
    return token;
  }

  function useKey(request: EmulatorRequest): EmulatorAnswer | null {
    const [, name = '', version, verb = ''] =
      /^\/keys\/([^/]+)\/([0-9a-f]{32})?\/(wrapkey|unwrapkey)$/.exec(request.path) ?? [];
    calls.push(verb === 'wrapkey' ? 'encrypt' : 'decrypt');
    const hostile = hostileAnswer(state.answers);
    if (hostile !== undefined) return hostile;
    if (state.answers === 'expired') return fault(401, 'Unauthorized');
    if (state.answers === 'throttled') return fault(429, 'Throttled');
    if (state.answers === 'failing') return fault(503, 'ServiceUnavailable');
    if (state.answers === 'broken')
      return json(200, { kid: 'https://elsewhere.example/keys/main', value: 'AA' });
    const token = request.headers['authorization']?.replace('Bearer ', '') ?? '';
    if (!tokens.has(token) || !request.query.startsWith('api-version=')) {
      return { ...fault(401, 'Unauthorized'), headers: { 'www-authenticate': CHALLENGE } };
    }
    // The role that is granted may use keys and not read them.
    if (request.method !== 'POST') return fault(403, 'Forbidden', 'ForbiddenByRbac');
    if (!(verb === 'wrapkey' ? state.mayEncrypt : state.mayDecrypt)) return fault(403, 'Forbidden');
    if (!state.isEnabled) return fault(403, 'Forbidden', 'KeyDisabled');
    const key = version ? keys.get(name)?.find((one) => one.version === version) : keys.get(name)?.at(-1);
    if (!key) return fault(404, 'KeyNotFound');
    const { alg, value } = JSON.parse(request.rawBody.toString('utf8')) as { alg: string; value: string };
    if (alg !== 'RSA-OAEP-256') return fault(400, 'BadParameter');
    const bytes = Buffer.from(value, 'base64url');
    const kid = `${VAULT}/keys/${name}/${key.version}`;
    try {
      const result =
        verb === 'wrapkey'
          ? publicEncrypt({ key: key.publicKey, ...OAEP }, bytes)
          : plaintextOf(state, privateDecrypt({ key: key.privateKey, ...OAEP }, bytes));
      return json(200, { kid, value: result.toString('base64url') });
    } catch {
      return fault(400, 'BadParameter');
    }
  }

  const server = await startEmulatorServer(ca, HOSTS, (request) =>
    request.host.startsWith('login.') ? login(request) : useKey(request),
  );
  const keyOf = (name: string): AzureKey => ({
    provider: 'azure',
    keyRef: `${VAULT}/keys/${name}`,
    config: { vaultUrl: VAULT, application: AZURE_APPLICATION },
  });
  return {
    endpoints: {
      azureVault: `https://${HOSTS[0]}:${server.port}`,
      azureAuthority: `https://${HOSTS[1]}:${server.port}`,
    },
    key: keyOf('main'),
    otherKey: keyOf('other'),
    environment: {},
    hosts: HOSTS,
    state,
    calls,
    secrets,
    giveToken,
    variables: new Map([[AZURE_SECRET_VARIABLE, CLIENT_SECRET]]),
    rotate: () => keys.get('main')?.push(newVersion()),
    close: () => server.close(),
  };
}

function isAssertion(form: URLSearchParams): boolean {
  return (
    form.get('client_assertion_type') === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' &&
    form.get('client_assertion') === AZURE_ASSERTION
  );
}

function newVersion() {
  return {
    version: randomBytes(16).toString('hex'),
    ...generateKeyPairSync('rsa', { modulusLength: 2048 }),
  };
}

function fault(status: number, code: string, inner?: string): EmulatorAnswer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return json(status, { error: { code, message: `${code} of the emulator`, ...innererror } });
}
