import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import type { AwsKey } from '../../capabilities/kms/cloud-key.js';
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

const HOSTS = ['kms.aws.emulator.test', 'sts.aws.emulator.test'] as const;
const REGION = 'eu-central-1';
const ROLE = 'arn:aws:iam::111122223333:role/knoxcall';
const EXTERNAL_ID = 'acme-external-id';
const KEYS = `arn:aws:kms:${REGION}:111122223333:key/`;
const SERVER = { id: 'AKIATESTSERVER000001', secret: 'the-secret-key-of-the-server' };

const XMLNS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"';
const DENIED = `<ErrorResponse ${XMLNS}><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error><RequestId>r</RequestId></ErrorResponse>`;
const WHO_AM_I = `<GetCallerIdentityResponse ${XMLNS}><GetCallerIdentityResult><Arn>arn:aws:iam::999988887777:user/knoxcall</Arn><UserId>AIDATEST</UserId><Account>999988887777</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;

/**
 * KMS as JSON 1.1 (`x-amz-target`, `__type` in a refusal) and STS as Query with XML. Every signature (SigV4) is checked,
 * with the session's token; a ciphertext opens under its encryption context and the key named alone; a role asks for its
 * external id, which moto does not miss. `npm run test:interop` has Amazon's client speak with it.
 */
export async function startAwsEmulator(ca: TestCa): Promise<CloudEmulator> {
  const state = freshState();
  const calls: string[] = [];
  const secrets: string[] = [SERVER.secret];
  const keys = new Map([`${KEYS}abcd-1234`, `${KEYS}mrk-other`].map((arn) => [arn, randomBytes(32)]));
  /** By access key id. */
  const sessions = new Map<string, { secret: string; token: string }>();

  function askSts(request: EmulatorRequest): EmulatorAnswer | null {
    const form = new URLSearchParams(request.rawBody.toString('utf8'));
    const isSigned = isSignedBy(request, 'sts', SERVER.id, SERVER.secret);
    if (form.get('Action') === 'GetCallerIdentity') {
      calls.push('whoami');
      return isSigned ? xml(200, WHO_AM_I) : xml(403, DENIED);
    }
    return assumeRole(form, isSigned);
  }

  function assumeRole(form: URLSearchParams, isSigned: boolean): EmulatorAnswer | null {
    calls.push('identity');
    const hostile = hostileAnswer(state.identityAnswers);
    if (hostile !== undefined) return hostile;
    const isRight =
      form.get('Action') === 'AssumeRole' &&
      form.get('Version') === '2011-06-15' &&
      form.get('RoleArn') === ROLE &&
      form.get('DurationSeconds') === '900' &&
      (form.get('ExternalId') === EXTERNAL_ID || !(state.asksForExternalId || form.has('ExternalId')));
    if (!isSigned || !isRight || !state.isTrusted) return xml(403, DENIED);
    const id = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const session = { secret: randomBytes(20).toString('hex'), token: randomBytes(40).toString('base64') };
    sessions.set(id, session);
    secrets.push(session.secret, session.token);
    // Real time: the client compares it with the machine's clock.
    const expiration = new Date(performance.timeOrigin + performance.now() + 900_000).toISOString();
    return xml(
      200,
      `<AssumeRoleResponse ${XMLNS}><AssumeRoleResult><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${session.secret}</SecretAccessKey><SessionToken>${session.token}</SessionToken><Expiration>${expiration}</Expiration></Credentials><AssumedRoleUser><Arn>${ROLE}/knoxcall</Arn><AssumedRoleId>AROA:knoxcall</AssumedRoleId></AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>`,
    );
  }

  function useKey(request: EmulatorRequest): EmulatorAnswer | null {
    const target = request.headers['x-amz-target'] ?? '';
    const isEncrypt = target === 'TrentService.Encrypt';
    calls.push(isEncrypt ? 'encrypt' : 'decrypt');
    const hostile = hostileAnswer(state.answers);
    if (hostile !== undefined) return hostile;
    if (state.answers === 'expired') return fault('ExpiredTokenException');
    if (state.answers === 'broken') return { status: 200, type: 'application/x-amz-json-1.1', body: '{}' };
    if (state.answers === 'throttled') return fault('ThrottlingException');
    if (state.answers === 'failing') return fault('KMSInternalException', 500);
    const id = /Credential=([^/]+)\//.exec(request.headers['authorization'] ?? '')?.[1] ?? '';
    const session = sessions.get(id);
    const isSigned = session
      ? request.headers['x-amz-security-token'] === session.token &&
        isSignedBy(request, 'kms', id, session.secret)
      : id === SERVER.id && isSignedBy(request, 'kms', SERVER.id, SERVER.secret);
    if (!isSigned) return fault('UnrecognizedClientException');
    if (!(isEncrypt ? state.mayEncrypt : state.mayDecrypt)) return fault('AccessDeniedException');
    if (!state.isEnabled) return fault('DisabledException');
    const input = JSON.parse(request.rawBody.toString('utf8')) as Record<string, string> & {
      EncryptionContext: Record<string, string>;
    };
    const aad = Buffer.from(JSON.stringify(Object.entries(input.EncryptionContext).sort()));
    return isEncrypt ? encrypt(input, aad) : decrypt(input, aad);
  }

  function encrypt(input: Record<string, unknown>, aad: Buffer): EmulatorAnswer {
    const arn = String(input['KeyId']).replace(/:alias\/acme$/, ':key/abcd-1234');
    const key = keys.get(arn);
    if (!key) return fault('NotFoundException');
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
    const plaintext = Buffer.from(String(input['Plaintext']), 'base64');
    secrets.push(String(input['Plaintext']));
    const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const blob = Buffer.concat([iv, cipher.getAuthTag(), body]);
    return json(200, {
      KeyId: arn,
      CiphertextBlob: blob.toString('base64'),
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    });
  }

  function decrypt(input: Record<string, unknown>, aad: Buffer): EmulatorAnswer {
    const key = keys.get(String(input['KeyId']));
    if (!key) return fault('NotFoundException');
    const blob = Buffer.from(String(input['CiphertextBlob']), 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(0, 12), { authTagLength: 16 })
        .setAAD(aad)
        .setAuthTag(blob.subarray(12, 28));
      const plaintext = Buffer.concat([decipher.update(blob.subarray(28)), decipher.final()]);
      return json(200, {
        KeyId: input['KeyId'],
        Plaintext: plaintextOf(state, plaintext).toString('base64'),
      });
    } catch {
      return fault('InvalidCiphertextException');
    }
  }

  const server = await startEmulatorServer(ca, HOSTS, (request) =>
    request.host.startsWith('sts.') ? askSts(request) : useKey(request),
  );
  const keyOf = (name: string): AwsKey => ({
    provider: 'aws',
    keyRef: `${KEYS}${name}`,
    config: { region: REGION, roleArn: ROLE, externalId: EXTERNAL_ID },
  });
  return {
    endpoints: {
      awsKms: `https://${HOSTS[0]}:${server.port}`,
      awsSts: `https://${HOSTS[1]}:${server.port}`,
    },
    key: keyOf('abcd-1234'),
    otherKey: keyOf('mrk-other'),
    environment: {
      AWS_ACCESS_KEY_ID: SERVER.id,
      AWS_SECRET_ACCESS_KEY: SERVER.secret,
      // Nothing of this machine's own.
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    hosts: HOSTS,
    state,
    calls,
    secrets,
    close: () => server.close(),
  };
}

function xml(status: number, body: string): EmulatorAnswer {
  return { status, type: 'text/xml', body };
}

function fault(type: string, status = 400): EmulatorAnswer {
  return {
    status,
    type: 'application/x-amz-json-1.1',
    body: JSON.stringify({ __type: type, message: `${type} of the emulator` }),
  };
}

/** Signature Version 4, as the service recomputes it. */
function isSignedBy(request: EmulatorRequest, service: string, id: string, secret: string): boolean {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      request.headers['authorization'] ?? '',
    );
  if (!match) return false;
  const [, signer, date = '', region = '', scopeService = '', signedHeaders = '', signature] = match;
  if (signer !== id || region !== REGION || scopeService !== service) return false;
  const canonical = [
    request.method,
    request.path,
    request.query,
    ...signedHeaders.split(';').map((name) => `${name}:${request.headers[name]?.trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders,
    createHash('sha256').update(request.rawBody).digest('hex'),
  ].join('\n');
  const toSign = [
    'AWS4-HMAC-SHA256',
    request.headers['x-amz-date'],
    `${date}/${region}/${service}/aws4_request`,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  let key: Buffer = Buffer.from(`AWS4${secret}`);
  for (const part of [date, region, service, 'aws4_request']) {
    key = createHmac('sha256', key).update(part).digest();
  }
  return createHmac('sha256', key).update(toSign).digest('hex') === signature;
}
