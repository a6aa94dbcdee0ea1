import { DecryptCommand, EncryptCommand, KMSClient, type KMSClientConfig } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { AwsKey } from '../../cloud-key.js';
import { codeText, KmsFailure, type KmsFailureReason, type KmsStage, type WrapContext } from '../types.js';
import { type Cloud, type CloudClient, type CloudDeps, type Door, hostOf } from './cloud.js';

const SESSION_SECONDS = 900;
/** Clients that hold the server's own identity, one a region. */
const REGIONS_MAX = 64;
const DNS_SUFFIX = 'amazonaws.com';
const CHINA_DNS_SUFFIX = 'amazonaws.com.cn';
/** Where to ask who one is, if no setting of the machine names a region. */
const FALLBACK_REGION = 'us-east-1';

type RequestHandler = KMSClient['config']['requestHandler'];
type Credentials = Pick<KMSClientConfig, 'credentials'>;

/** AWS KMS by the role that the key's owner named, or by the server's own identity (kms-admin.md §2). */
export function createAws({ endpoints, door }: CloudDeps): Cloud<AwsKey> {
  // What the credential chain of the server's own identity asks is the operator's own setting.
  const identityHandler = handlerOf(door([], 'identity'));
  const stsClients = new Map<string, STSClient>();

  function stsOf(region: string, dnsSuffix: string): STSClient {
    const endpoint = endpoints.awsSts ?? `https://sts.${region}.${dnsSuffix}`;
    const known = stsClients.get(endpoint);
    if (known) return known;
    if (stsClients.size >= REGIONS_MAX) stsClients.clear();
    const client = new STSClient({ region, endpoint, maxAttempts: 1, requestHandler: identityHandler });
    stsClients.set(endpoint, client);
    return client;
  }

  /** At each use anew: a session that is kept would outlive the grant that it was given for (kms-admin.md §3.4). */
  async function assumed(key: AwsKey, roleArn: string, externalId: string | null): Promise<Credentials> {
    const { region } = key.config;
    const answer = await atStage(
      'identity',
      stsOf(region, dnsSuffixOf(key)).send(
        new AssumeRoleCommand({
          RoleArn: roleArn,
          RoleSessionName: 'knoxcall',
          DurationSeconds: SESSION_SECONDS,
          ...(externalId === null ? {} : { ExternalId: externalId }),
        }),
      ),
    );
    const { AccessKeyId, SecretAccessKey, SessionToken } = answer.Credentials ?? {};
    if (!AccessKeyId || !SecretAccessKey || !SessionToken) {
      throw new KmsFailure('unreachable', 'identity', 'no_credentials_answered');
    }
    return {
      credentials: {
        accessKeyId: AccessKeyId,
        secretAccessKey: SecretAccessKey,
        sessionToken: SessionToken,
      },
    };
  }

  function open(key: AwsKey): CloudClient {
    const { region, roleArn, externalId } = key.config;
    const endpoint = endpoints.awsKms ?? `https://kms.${region}.${dnsSuffixOf(key)}`;
    const settings = { region, endpoint, maxAttempts: 1 };
    const keyHandler = handlerOf(door([hostOf(endpoint)], 'key'));
    let own: KMSClient | null = null;

    async function client(): Promise<KMSClient> {
      if (roleArn !== null) {
        const credentials = await assumed(key, roleArn, externalId);
        return new KMSClient({ ...settings, ...credentials, requestHandler: keyHandler });
      }
      // The chain behind it asks more hosts than the key's.
      own ??= new KMSClient({ ...settings, requestHandler: identityHandler });
      return own;
    }

    return {
      async encrypt(plaintext, context) {
        const kms = await client();
        const { CiphertextBlob, KeyId } = await atStage(
          'key',
          kms.send(
            new EncryptCommand({
              KeyId: key.keyRef,
              Plaintext: plaintext,
              EncryptionContext: encryptionContext(context),
            }),
          ),
        );
        if (!CiphertextBlob) throw new KmsFailure('unreachable', 'key', 'no_ciphertext_answered');
        const keyName = KeyId !== undefined && isNameOf(key, KeyId) ? KeyId : key.keyRef;
        return { keyName, ciphertext: Buffer.from(CiphertextBlob) };
      },

      async decrypt({ keyName, ciphertext }, context) {
        const kms = await client();
        const { Plaintext } = await atStage(
          'key',
          kms.send(
            new DecryptCommand({
              // Named, so that bytes of another key, which the role may reach too, are refused.
              KeyId: keyName,
              CiphertextBlob: ciphertext,
              EncryptionContext: encryptionContext(context),
            }),
          ),
        );
        if (!Plaintext) throw new KmsFailure('unreachable', 'key', 'no_plaintext_answered');
        return Buffer.from(Plaintext);
      },

      isNameOfKey: (keyName) => isNameOf(key, keyName),
    };
  }

  async function ownIdentity(): Promise<string | null> {
    const settings = new STSClient({ requestHandler: identityHandler }).config;
    const region = await settings.region().catch(() => FALLBACK_REGION);
    const dnsSuffix = region.startsWith('cn-') ? CHINA_DNS_SUFFIX : DNS_SUFFIX;
    const answer = await atStage('identity', stsOf(region, dnsSuffix).send(new GetCallerIdentityCommand({})));
    return /^\d{12}$/.test(answer.Account ?? '') ? (answer.Account ?? null) : null;
  }

  async function mayAssumeWithoutExternalId(key: AwsKey): Promise<boolean> {
    const { roleArn } = key.config;
    if (roleArn === null) return false;
    try {
      await assumed(key, roleArn, null);
      return true;
    } catch (error) {
      const failure = failureOf(error, 'identity');
      if (failure.reason === 'access_denied') return false;
      throw failure;
    }
  }

  return { open, ownIdentity, mayAssumeWithoutExternalId, failureOf: (error) => failureOf(error, 'key') };
}

function dnsSuffixOf({ keyRef }: AwsKey): string {
  return keyRef.startsWith('arn:aws-cn:') ? CHINA_DNS_SUFFIX : DNS_SUFFIX;
}

/** An alias leads to a key of its own account and region, which the answer names; it may be re-pointed later. */
function isNameOf({ keyRef }: AwsKey, name: string): boolean {
  if (name === keyRef) return true;
  const aliasAt = keyRef.indexOf(':alias/');
  if (aliasAt === -1) return false;
  const keys = `${keyRef.slice(0, aliasAt)}:key/`;
  return name.startsWith(keys) && /^(?:mrk-)?[A-Za-z0-9-]{1,64}$/.test(name.slice(keys.length));
}

function encryptionContext({ tenantId, version }: WrapContext): Record<string, string> {
  return { 'knoxcall:tenant_id': tenantId, 'knoxcall:key_version': String(version) };
}

function handlerOf(door: Door): RequestHandler {
  return {
    async handle(request) {
      const { protocol, hostname, port, path, query, method, headers, body } = request;
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(query)) {
        for (const one of Array.isArray(value) ? value : [value]) search.append(name, one ?? '');
      }
      const answer = await door({
        method,
        url: `${protocol}//${hostname}${port ? `:${port}` : ''}${path}${search.size > 0 ? `?${search}` : ''}`,
        headers,
        body: body ?? null,
      });
      const response = { statusCode: answer.status, headers: { ...answer.headers }, body: answer.body };
      return { response } as unknown as Awaited<ReturnType<RequestHandler['handle']>>;
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    destroy: () => undefined,
  };
}

async function atStage<T>(stage: KmsStage, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw failureOf(error, stage);
  }
}

const REASONS: Readonly<Record<string, KmsFailureReason>> = {
  InvalidCiphertextException: 'bad_ciphertext',
  IncorrectKeyException: 'bad_ciphertext',
  DisabledException: 'key_unusable',
  KMSInvalidStateException: 'key_unusable',
  NotFoundException: 'key_unusable',
  InvalidKeyUsageException: 'key_unusable',
  InvalidArnException: 'key_unusable',
  ValidationException: 'key_unusable',
  KeyUnavailableException: 'unreachable',
  KMSInternalException: 'unreachable',
  DependencyTimeoutException: 'unreachable',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  TooManyRequestsException: 'throttled',
  LimitExceededException: 'throttled',
};

const NO_CREDENTIALS = 'CredentialsProviderError';

/** What the client throws: `$fault` stands in what it has understood as an error of the service. */
interface Answered {
  readonly name?: unknown;
  readonly $fault?: 'client' | 'server';
  readonly $metadata?: { readonly httpStatusCode?: number };
}

function failureOf(error: unknown, stage: KmsStage): KmsFailure {
  if (error instanceof KmsFailure) return error;
  const { name, $fault, $metadata } = error as Answered;
  const status = $metadata?.httpStatusCode ?? 0;
  // Only the name of what the service said is a code of its own.
  const isCode = $fault !== undefined || name === NO_CREDENTIALS;
  const code = isCode ? codeText(name, 'unknown') : status > 0 ? `http_${status}` : 'unknown';
  // Nobody was asked: the server has no identity of its own.
  if (code === NO_CREDENTIALS) return new KmsFailure('access_denied', 'identity', code);
  const known = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  if (known) return new KmsFailure(known, stage, code);
  if (status === 429) return new KmsFailure('throttled', stage, code);
  if (status >= 400 && status < 500) return new KmsFailure('access_denied', stage, code);
  return new KmsFailure('unreachable', stage, code);
}
