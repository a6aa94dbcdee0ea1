import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { answerInsertions } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditEntry, AuditLogs } from '../../audit-logs/index.js';
import { createVersionEntries } from '../audit.js';
import { type Outcome, outcomesOf, repliesOf } from '../batch.js';
import { decodeBase64, parseVersioned, writeVersioned } from '../formats.js';
import { assertCan, type KeyOperation } from '../operation-of.js';
import type { CryptoKeys } from '../service.js';
import type { ActiveKey, KeyIdentity } from '../store.js';
import { signingEntry } from './audit.js';
import { writeToken } from './jws.js';
import type { JwtAlgorithm } from './jwt-algorithms.js';
import { type JwtInput, jwtToSign } from './jwt-to-sign.js';
import { createJwtVerifier, type JwtToVerify, type VerifiedJwt } from './jwt-verification.js';
import { type RsaOptions, schemeOf } from './schemes.js';
import { createSigningVersions, type Signing } from './versions.js';
import { type WebhookFormat, webhookSignature } from './webhook-formats.js';

/** Taken out of a body as late as its item's turn comes, so that what is wrong with it is that item's error. */
export type ReadMessage = () => Buffer;

export interface SignInput {
  readonly read: ReadMessage;
  readonly options: RsaOptions;
}

export interface VerifyInput extends SignInput {
  readonly signature: string;
}

export interface Signed {
  /** `knoxcall:v<N>:<base64>`. */
  readonly signature: string;
  readonly version: number;
}

export interface Verified {
  readonly isValid: boolean;
  /** The version that the signature is or names; null where it is none's. */
  readonly version: number | null;
}

export interface SignedJwt {
  readonly token: string;
  readonly alg: JwtAlgorithm;
  readonly version: number;
}

export interface WebhookInput {
  /** The payload. */
  readonly read: ReadMessage;
  readonly format: WebhookFormat;
  /** Null = now. */
  readonly timestampSeconds: number | null;
}

export interface SignedWebhook {
  readonly signatureHeader: string;
  readonly timestampSeconds: number;
  readonly format: WebhookFormat;
  readonly version: number;
}

/** Signatures with keys that have a name; each audit row is durable before what was signed is told (clients-pki.md §4). */
export interface Signatures {
  sign(caller: Caller, name: string, input: SignInput): Promise<Signed>;
  signBatch(caller: Caller, name: string, inputs: readonly SignInput[]): Promise<Outcome<Signed>[]>;
  /** Whatever is wrong with a signature it is not valid, and no error. */
  verify(caller: Caller, name: string, input: VerifyInput): Promise<Verified>;
  verifyBatch(caller: Caller, name: string, inputs: readonly VerifyInput[]): Promise<Outcome<Verified>[]>;
  signJwt(caller: Caller, name: string, input: JwtInput): Promise<SignedJwt>;
  verifyJwt(caller: Caller, name: string, input: JwtToVerify): Promise<VerifiedJwt>;
  /** Of HMAC keys. */
  signWebhook(caller: Caller, name: string, input: WebhookInput): Promise<SignedWebhook>;
}

export interface SignaturesDeps {
  readonly db: Pick<Database, 'commitInserts'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly cryptoKeys: Pick<CryptoKeys, 'getActive' | 'identify' | 'listUsable' | 'publicKeyOf' | 'use'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
}

export function createSignatures({ db, clock, cryptoKeys, auditLogs }: SignaturesDeps): Signatures {
  const versions = createSigningVersions(cryptoKeys);
  const jwtVerifier = createJwtVerifier({ clock, versions });

  /** With the version that is active now. */
  async function keyFor(caller: Caller, name: string, operation: KeyOperation): Promise<ActiveKey> {
    const key = await cryptoKeys.getActive(caller.principal.scope, name);
    assertCan(key, operation);
    return key;
  }

  async function judgeWith(caller: Caller, name: string, operation: KeyOperation): Promise<KeyIdentity> {
    const key = await cryptoKeys.identify(caller.principal.scope, name);
    assertCan(key, operation);
    return key;
  }

  async function commit<T>(caller: Caller, entries: readonly AuditEntry[], result: T): Promise<T> {
    const actor = actorOf(caller);
    await db.commitInserts([
      ...entries.map((entry) => auditLogs.insertion(actor, entry)),
      ...answerInsertions(caller, result),
    ]);
    return result;
  }

  async function signOne(scope: Scope, key: ActiveKey, { read, options }: SignInput): Promise<Signed> {
    const signing = { scheme: schemeOf(key.keyType, options), message: read() };
    const signature = await versions.sign(scope, key, signing);
    const version = key.currentVersion;
    return { signature: writeVersioned(version, signature), version };
  }

  async function verifyOne(scope: Scope, key: KeyIdentity, input: VerifyInput): Promise<Verified> {
    const signing = { scheme: schemeOf(key.keyType, input.options), message: input.read() };
    const named = parseVersioned(input.signature);
    if (named === null) return verifyBare(scope, key, signing, decodeBase64(input.signature));
    const judgement = await versions.judge(scope, key, named.version, signing, named.bytes);
    return {
      isValid: judgement === 'good',
      version: judgement === 'unknown' ? null : named.version,
    };
  }

  async function verifyBare(
    scope: Scope,
    key: KeyIdentity,
    signing: Signing,
    signature: Buffer | null,
  ): Promise<Verified> {
    const tried = signature === null ? [] : await versions.listTried(scope, key);
    for (const version of tried) {
      if ((await versions.judge(scope, key, version, signing, signature!)) === 'good')
        return { isValid: true, version };
      await nextTurn();
    }
    return { isValid: false, version: null };
  }

  const versionEntry = createVersionEntries();
  const entryOf = (key: ActiveKey, { version }: Signed) => versionEntry('crypto.sign', key, version);

  return {
    async sign(caller, name, input) {
      const key = await keyFor(caller, name, 'sign');
      const signed = await signOne(caller.principal.scope, key, input);
      return commit(caller, [entryOf(key, signed)], signed);
    },

    async signBatch(caller, name, inputs) {
      const key = await keyFor(caller, name, 'sign');
      const outcomes = await outcomesOf(
        inputs,
        inItsTurn((input) => signOne(caller.principal.scope, key, input)),
      );
      return commit(
        caller,
        repliesOf(outcomes).map((each) => entryOf(key, each)),
        outcomes,
      );
    },

    async verify(caller, name, input) {
      const key = await judgeWith(caller, name, 'verify');
      return verifyOne(caller.principal.scope, key, input);
    },

    async verifyBatch(caller, name, inputs) {
      const key = await judgeWith(caller, name, 'verify');
      return outcomesOf(
        inputs,
        inItsTurn((input) => verifyOne(caller.principal.scope, key, input)),
      );
    },

    async signJwt(caller, name, input) {
      const key = await keyFor(caller, name, 'jwt');
      const { alg, signing } = jwtToSign(key, input);
      const signature = await versions.sign(caller.principal.scope, key, signing);
      const version = key.currentVersion;
      const jwt = { token: writeToken(signing.message, signature), alg, version };
      return commit(caller, [signingEntry('crypto.jwt', key, { version, alg })], jwt);
    },

    async verifyJwt(caller, name, input) {
      const key = await judgeWith(caller, name, 'jwt');
      return jwtVerifier.verify(caller.principal.scope, key, input);
    },

    async signWebhook(caller, name, { read, format, timestampSeconds }) {
      const payload = read();
      const key = await keyFor(caller, name, 'webhook-sign');
      const version = key.currentVersion;
      const seconds = timestampSeconds ?? Math.floor(clock.nowMs() / 1_000);
      const signatureHeader = await cryptoKeys.use(caller.principal.scope, key.id, version, (secret) =>
        webhookSignature(format, secret, seconds, payload),
      );
      const signed = { signatureHeader, timestampSeconds: seconds, format, version };
      return commit(caller, [signingEntry('crypto.webhook_sign', key, { version, format })], signed);
    },
  };
}

/** The loop turns before each: a hundred signatures of large keys would keep it for a tenth of a second. */
function inItsTurn<In, Out>(act: (input: In) => Promise<Out>): (input: In) => Promise<Out> {
  return async (input) => {
    await nextTurn();
    return act(input);
  };
}
