import {
  type AuthClient,
  BaseExternalAccountClient,
  Compute,
  GoogleAuth,
  gaxios,
  JWT,
  UserRefreshClient,
} from 'google-auth-library';
import { assert } from '../../../../kernel/assert.js';
import { crc32c } from '../../../../platform/crypto/crc32c.js';
import type { SmallAnswer } from '../../../../platform/egress/small-calls.js';
import type { GcpKey } from '../../cloud-key.js';
import { bindingOf } from '../binding.js';
import { codeText, KmsFailure, type KmsFailureReason, type KmsStage } from '../types.js';
import { type Cloud, type CloudClient, type CloudDeps, type Door, hostOf } from './cloud.js';

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const CLOUD_KMS = 'https://www.googleapis.com/auth/cloudkms';
/** A token serves one call. */
const TOKEN_LIFETIME = '300s';

// What asks the machine's metadata server can be given no way out, and would let a proxy of the machine answer for it.
gaxios.instance.defaults.noProxy = [/^/];

/** Google Cloud KMS as the service account that the key's owner named, or by the server's own identity. */
export function createGcp({ endpoints, door }: CloudDeps): Cloud<GcpKey> {
  const kms = endpoints.gcpKms ?? 'https://cloudkms.googleapis.com';
  const iam = endpoints.gcpIam ?? 'https://iamcredentials.googleapis.com';
  const toKms = door([hostOf(kms)], 'key');
  const toIam = door([hostOf(iam)], 'identity');
  const auth = new GoogleAuth({
    scopes: [CLOUD_PLATFORM],
    // No project is named in any call; without one the library would go and look for it.
    projectId: '-',
    // What the server's own credentials ask is the operator's own setting.
    clientOptions: { transporterOptions: { fetchImplementation: fetchBy(door([], 'identity')) } },
  });
  let client: Promise<AuthClient> | null = null;

  async function ownToken(): Promise<string> {
    try {
      // One that failed is not kept: the file may be there at the next try.
      client ??= auth.getClient().then(byOneWayOut);
      const { token } = await (await client).getAccessToken();
      if (!token) throw new KmsFailure('access_denied', 'identity', 'no_token_answered');
      return token;
    } catch (error) {
      client = null;
      throw ownIdentityFailure(error);
    }
  }

  async function post(to: Door, stage: KmsStage, url: string, token: string, body: object): Promise<unknown> {
    const answer = await to({
      method: 'POST',
      url,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify(body),
    });
    const value = jsonOf(answer);
    if (answer.status !== 200) throw answeredFailure(answer.status, value, stage);
    return value;
  }

  /** At each use anew: a token that is kept would outlive the grant that it was given for (kms-admin.md §3.4). */
  async function tokenFor({ config: { serviceAccount } }: GcpKey): Promise<string> {
    const token = await ownToken();
    if (serviceAccount === null) return token;
    const url = `${iam}/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`;
    const request = { scope: [CLOUD_KMS], lifetime: TOKEN_LIFETIME };
    const { accessToken } = record(await post(toIam, 'identity', url, token, request));
    if (typeof accessToken !== 'string' || accessToken === '') {
      throw new KmsFailure('unreachable', 'identity', 'no_token_answered');
    }
    return accessToken;
  }

  function open(key: GcpKey): CloudClient {
    const act = async (verb: 'encrypt' | 'decrypt', body: object) =>
      record(await post(toKms, 'key', `${kms}/v1/${key.keyRef}:${verb}`, await tokenFor(key), body));
    return {
      async encrypt(plaintext, context) {
        const binding = bindingOf(context);
        const answer = await act('encrypt', {
          plaintext: plaintext.toString('base64'),
          plaintextCrc32c: String(crc32c(plaintext)),
          additionalAuthenticatedData: binding.toString('base64'),
          additionalAuthenticatedDataCrc32c: String(crc32c(binding)),
        });
        // What arrived changed is sealed wrongly for ever, so the answer must say that both were compared.
        if (
          answer['verifiedPlaintextCrc32c'] !== true ||
          answer['verifiedAdditionalAuthenticatedDataCrc32c'] !== true
        )
          throw new KmsFailure('unreachable', 'key', 'crc_not_verified');
        const { name } = answer;
        const keyName = typeof name === 'string' && isNameOf(key, name) ? name : key.keyRef;
        return { keyName, ciphertext: checkedBytes(answer, 'ciphertext') };
      },

      async decrypt({ ciphertext }, context) {
        const binding = bindingOf(context);
        const answer = await act('decrypt', {
          ciphertext: ciphertext.toString('base64'),
          ciphertextCrc32c: String(crc32c(ciphertext)),
          additionalAuthenticatedData: binding.toString('base64'),
          additionalAuthenticatedDataCrc32c: String(crc32c(binding)),
        });
        return checkedBytes(answer, 'plaintext');
      },

      isNameOfKey: (keyName) => isNameOf(key, keyName),
    };
  }

  /** Null: a federated identity that impersonates nobody has no e-mail. */
  async function ownIdentity(): Promise<string | null> {
    try {
      const { client_email: email } = await auth.getCredentials();
      return email ?? null;
    } catch (error) {
      throw ownIdentityFailure(error);
    }
  }

  return {
    open,
    ownIdentity,
    failureOf: (error) =>
      error instanceof KmsFailure ? error : new KmsFailure('unreachable', 'key', 'unknown'),
  };
}

/** With or without the version that wrapped: it is told by its name that a newer one has come. */
function isNameOf({ keyRef }: GcpKey, name: string): boolean {
  return (
    name.startsWith(keyRef) && /^(?:\/cryptoKeyVersions\/[1-9][0-9]{0,18})?$/.test(name.slice(keyRef.length))
  );
}

/** Other kinds have parts inside that ask by a way of their own. */
function byOneWayOut(client: AuthClient): AuthClient {
  if (client instanceof BaseExternalAccountClient) {
    // The exchange of a workload's token is made by a part that takes its way out from nobody.
    const { stsCredential } = client as unknown as { stsCredential: { transporter: unknown } };
    assert('transporter' in stsCredential, 'the exchange of tokens has a way out');
    stsCredential.transporter = client.transporter;
    return client;
  }
  if ([Compute, JWT, UserRefreshClient].some((kind) => client instanceof kind)) return client;
  throw new KmsFailure('access_denied', 'identity', 'credentials_not_supported');
}

/** The bytes of a member, compared with the checksum that came with them. */
function checkedBytes(answer: Readonly<Record<string, unknown>>, name: string): Buffer {
  const bytes = Buffer.from(String(answer[name] ?? ''), 'base64');
  if (bytes.length === 0 || String(answer[`${name}Crc32c`]) !== String(crc32c(bytes))) {
    throw new KmsFailure('unreachable', 'key', 'crc_mismatch');
  }
  return bytes;
}

function jsonOf({ body }: SmallAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return null;
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
}

const REASONS: Readonly<Record<number, KmsFailureReason>> = {
  401: 'access_denied',
  403: 'access_denied',
  // A key that one may not see is one that is not there.
  404: 'access_denied',
  429: 'throttled',
};

function answeredFailure(status: number, value: unknown, stage: KmsStage): KmsFailure {
  const code = codeText(record(record(value)['error'])['status'], `http_${status}`);
  const known = REASONS[status];
  if (known) return new KmsFailure(known, stage, code);
  if (status >= 500 || status < 400) return new KmsFailure('unreachable', stage, code);
  // INVALID_ARGUMENT is what a wrong ciphertext or a wrong binding gets; FAILED_PRECONDITION a key that is not enabled.
  if (stage === 'key' && code === 'INVALID_ARGUMENT') return new KmsFailure('bad_ciphertext', stage, code);
  return new KmsFailure(stage === 'key' ? 'key_unusable' : 'access_denied', stage, code);
}

/** Of the library: what was refused has a status; without one nobody answered, or there is nothing to ask with. */
function ownIdentityFailure(error: unknown): KmsFailure {
  if (error instanceof KmsFailure) return error;
  const { response, cause } = error as { response?: { status?: number }; cause?: unknown };
  if (cause instanceof KmsFailure) return cause;
  const status = response?.status;
  if (status !== undefined && status >= 500)
    return new KmsFailure('unreachable', 'identity', `http_${status}`);
  if (status === 429) return new KmsFailure('throttled', 'identity', 'http_429');
  return new KmsFailure(
    'access_denied',
    'identity',
    status === undefined ? 'no_own_credentials' : `http_${status}`,
  );
}

/** As the library wants to be given its way out. */
function fetchBy(door: Door): typeof fetch {
  return async (input, init) => {
    const body = init?.body ?? null;
    const answer = await door({
      method: init?.method ?? 'GET',
      url: input instanceof Request ? input.url : String(input),
      headers: Object.fromEntries(new Headers(init?.headers)),
      body: body === null || body instanceof Uint8Array ? body : String(body),
    });
    const answered = answer.body.length === 0 ? null : new Uint8Array(answer.body);
    return new Response(answered, { status: answer.status, headers: answer.headers });
  };
}
