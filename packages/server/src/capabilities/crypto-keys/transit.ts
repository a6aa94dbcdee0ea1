import { isAppError, validationError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import { Secret } from '../../kernel/secret.js';
import { DecryptionRefused, decrypt, encrypt } from '../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../platform/crypto/random.js';
import { encryptOaep, oaepBytesMax, oaepOpenerOf } from '../../platform/crypto/rsa-oaep.js';
import { inRsaTurn } from '../../platform/crypto/rsa-turns.js';
import { smallAnswerInsertions } from '../../platform/http/idempotency.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditEntry, AuditLogs } from '../audit-logs/index.js';
import { createVersionEntries, cryptoEntry } from './audit.js';
import { type Outcome, outcomesOf, repliesOf } from './batch.js';
import { createEncryptionCounts } from './encryption-counts.js';
import { decryptionFailed } from './errors.js';
import { parseVersioned, writeVersioned } from './formats.js';
import { assertCan } from './operation-of.js';
import type { CryptoKeyRecords } from './records.js';
import type { CryptoKeys } from './service.js';
import { type ActiveKey, createCryptoKeyStore, type KeyIdentity } from './store.js';

export interface Encrypted {
  readonly ciphertext: string;
  readonly keyVersion: number;
}

export interface Decrypted {
  readonly plaintext: Secret<Buffer>;
  /** The same as text; null where it is none, or was not asked for. */
  readonly text: Secret<string> | null;
  readonly keyVersion: number;
}

/** Whether the plaintext is wanted as text too; `required`: 400 where it is no UTF-8. */
export type TextWanted = 'no' | 'where_it_is_one' | 'required';

/** Taken out of a body as late as its item's turn comes, so that what is wrong with it is that item's error. */
export type ReadPlaintext = () => Secret<Buffer>;

/**
 * Encrypts and decrypts under named keys (clients-pki.md §4.2). Of each ciphertext that is made or opened the audit row is durable
 * before it is answered.
 */
export interface Transit {
  encrypt(caller: Caller, name: string, read: ReadPlaintext): Promise<Encrypted>;
  encryptBatch(caller: Caller, name: string, reads: readonly ReadPlaintext[]): Promise<Outcome<Encrypted>[]>;
  decrypt(caller: Caller, name: string, ciphertext: string, wanted: TextWanted): Promise<Decrypted>;
  decryptBatch(
    caller: Caller,
    name: string,
    ciphertexts: readonly string[],
    wanted: TextWanted,
  ): Promise<Outcome<Decrypted>[]>;
  /**
   * For a field action, which acts with the leave of who wrote it: all or none, one audit row a version, durable before this
   * resolves. An operation of RSA takes its time: of those as many as a batch has.
   */
  encryptForRoute(caller: Caller, name: string, plaintexts: readonly Secret<Buffer>[]): Promise<string[]>;
  /** The same; 400 `decryption_failed` of any refuses all. */
  decryptForRoute(caller: Caller, name: string, ciphertexts: readonly string[]): Promise<Decrypted[]>;
  /** Under the active version; the plaintext is shown to nobody. */
  rewrap(caller: Caller, name: string, ciphertext: string): Promise<Encrypted>;
}

export interface TransitDeps {
  readonly db: Database;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'getActive' | 'identify' | 'publicKeyOf' | 'use'>;
  readonly records: Pick<CryptoKeyRecords, 'rotateWorn'>;
  readonly logger: Pick<Logger, 'warn'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
}

/** The format has no place for more (clients-pki.md §4.3). */
const NO_AAD = Buffer.alloc(0);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function createTransit(deps: TransitDeps): Transit {
  const { db, random, cryptoKeys, records, auditLogs, logger } = deps;
  const counts = createEncryptionCounts({ store: createCryptoKeyStore(db), onDue: rotateWorn });
  const entryOf = createVersionEntries();

  /** Nobody waits for it: the version is good for as many again. */
  function rotateWorn(scope: Scope, key: ActiveKey): void {
    const told = { tenant_id: scope.tenantId, key_id: key.id, version: key.currentVersion };
    logger.warn(told, 'a version of a key has encrypted as often as it should and is rotated');
    void records
      .rotateWorn(scope, key)
      .catch((err) => logger.warn({ ...told, err }, 'a key was not rotated; the next slice tries again'));
  }

  /** Encrypts with the version that is active now, again and again. */
  async function sealerOf(scope: Scope, key: ActiveKey, count: number) {
    const { id, keyType, currentVersion: version } = key;
    if (keyType === 'aes256-gcm') {
      await counts.take(scope, key, count);
      return (plaintext: Buffer): Promisable<Buffer> =>
        cryptoKeys.use(scope, id, version, (secret) => encrypt(random, secret, NO_AAD, plaintext));
    }
    const publicKey = await cryptoKeys.publicKeyOf(scope, id, version);
    const bytesMax = oaepBytesMax(Number(keyType.slice('rsa-'.length)));
    return (plaintext: Buffer): Buffer => {
      if (plaintext.length > bytesMax)
        throw validationError(
          'plaintext',
          `must have at most ${bytesMax} bytes under a key of type ${keyType}`,
        );
      return encryptOaep(publicKey, plaintext);
    };
  }

  async function openOaep(scope: Scope, { id }: KeyIdentity, version: number, bytes: Buffer) {
    const lend = () => cryptoKeys.use(scope, id, version, oaepOpenerOf);
    // Opened before it is its turn, as one tenant's KMS may be slow, and as it is then: it may be destroyed meanwhile.
    await lend();
    return inRsaTurn(scope.tenantId, async () => (await lend())(bytes));
  }

  /** One refusal, whatever is wrong with the ciphertext; but what was destroyed is 410. */
  async function open(scope: Scope, key: KeyIdentity, ciphertext: string) {
    const parsed = parseVersioned(ciphertext);
    if (parsed === null) throw decryptionFailed();
    const { version, bytes } = parsed;
    try {
      const plaintext =
        key.keyType === 'aes256-gcm'
          ? cryptoKeys.use(scope, key.id, version, (secret) => decrypt(secret, NO_AAD, bytes))
          : openOaep(scope, key, version, bytes);
      return { version, plaintext: isPending(plaintext) ? await plaintext : plaintext };
    } catch (error) {
      if (error instanceof DecryptionRefused || isAppError(error, 'not_found')) throw decryptionFailed();
      throw error;
    }
  }

  async function decryptOne(scope: Scope, key: KeyIdentity, ciphertext: string, wanted: TextWanted) {
    const { version, plaintext } = await open(scope, key, ciphertext);
    const text = wanted === 'no' ? null : textOf(plaintext);
    if (wanted === 'required' && text === null) {
      plaintext.fill(0);
      throw validationError('format', 'the plaintext is not UTF-8');
    }
    return { plaintext: new Secret(plaintext), text, keyVersion: version };
  }

  /** Durable, with the answer to a call that may be repeated. */
  function commit(caller: Caller, entries: readonly AuditEntry[], result: unknown): Promise<void> {
    const actor = actorOf(caller);
    const rows = entries.map((entry) => auditLogs.insertion(actor, entry));
    return db.commitInserts([...rows, ...smallAnswerInsertions(caller, result)]);
  }

  return {
    async encrypt(caller, name, read) {
      const { scope } = caller.principal;
      const plaintext = read();
      const key = await cryptoKeys.getActive(scope, name);
      assertCan(key, 'encrypt');
      const seal = await sealerOf(scope, key, 1);
      const result = await sealed(key, seal, plaintext);
      await commit(caller, [entryOf('crypto.encrypt', key, key.currentVersion)], result);
      return result;
    },

    async encryptBatch(caller, name, reads) {
      const key = await cryptoKeys.getActive(caller.principal.scope, name);
      assertCan(key, 'encrypt');
      const seal = await sealerOf(caller.principal.scope, key, reads.length);
      const outcomes = await outcomesOf(reads, (read) => sealed(key, seal, read()));
      const acts = repliesOf(outcomes).map(({ keyVersion }) => entryOf('crypto.encrypt', key, keyVersion));
      await commit(caller, acts, outcomes);
      return outcomes;
    },

    async decrypt(caller, name, ciphertext, wanted) {
      const key = await cryptoKeys.identify(caller.principal.scope, name);
      assertCan(key, 'decrypt');
      const result = await decryptOne(caller.principal.scope, key, ciphertext, wanted);
      await commit(caller, [entryOf('crypto.decrypt', key, result.keyVersion)], result);
      return result;
    },

    async decryptBatch(caller, name, ciphertexts, wanted) {
      const { scope } = caller.principal;
      const key = await cryptoKeys.identify(scope, name);
      assertCan(key, 'decrypt');
      const outcomes = await outcomesOf(ciphertexts, (ciphertext) =>
        decryptOne(scope, key, ciphertext, wanted),
      );
      const acts = repliesOf(outcomes).map(({ keyVersion }) => entryOf('crypto.decrypt', key, keyVersion));
      await commit(caller, acts, outcomes);
      return outcomes;
    },

    async encryptForRoute(caller, name, plaintexts) {
      const { scope } = caller.principal;
      const key = await cryptoKeys.getActive(scope, name);
      assertCan(key, 'encrypt');
      assertFew(key, plaintexts.length);
      const seal = await sealerOf(scope, key, plaintexts.length);
      const ciphertexts: string[] = [];
      for (const plaintext of plaintexts) ciphertexts.push((await sealed(key, seal, plaintext)).ciphertext);
      const details = { version: key.currentVersion, values: plaintexts.length, via: 'route' } as const;
      await commit(caller, [cryptoEntry('crypto.encrypt', key, details)], ciphertexts);
      return ciphertexts;
    },

    async decryptForRoute(caller, name, ciphertexts) {
      const { scope } = caller.principal;
      const key = await cryptoKeys.identify(scope, name);
      assertCan(key, 'decrypt');
      assertFew(key, ciphertexts.length);
      const opened: Decrypted[] = [];
      for (const ciphertext of ciphertexts)
        opened.push(await decryptOne(scope, key, ciphertext, 'where_it_is_one'));
      const versions = new Map<number, number>();
      for (const { keyVersion } of opened) versions.set(keyVersion, (versions.get(keyVersion) ?? 0) + 1);
      const acts = [...versions].map(([version, values]) =>
        cryptoEntry('crypto.decrypt', key, { version, values, via: 'route' }),
      );
      await commit(caller, acts, undefined);
      return opened;
    },

    async rewrap(caller, name, ciphertext) {
      const { scope } = caller.principal;
      const key = await cryptoKeys.getActive(scope, name);
      assertCan(key, 'rewrap');
      const seal = await sealerOf(scope, key, 1);
      const { version: fromVersion, plaintext } = await open(scope, key, ciphertext);
      const result = await sealed(key, seal, new Secret(plaintext));
      const details = { from_version: fromVersion, version: key.currentVersion };
      await commit(caller, [cryptoEntry('crypto.rewrap', key, details)], result);
      return result;
    },
  };
}

function assertFew({ keyType }: KeyIdentity, count: number): void {
  if (keyType !== 'aes256-gcm' && count > LIMITS.cryptoBatchMax)
    throw validationError(
      'body',
      `holds more than ${LIMITS.cryptoBatchMax} values for a key of type ${keyType}`,
    );
}

async function sealed(
  key: ActiveKey,
  seal: (plaintext: Buffer) => Promisable<Buffer>,
  plaintext: Secret<Buffer>,
): Promise<Encrypted> {
  const bytes = plaintext.reveal();
  try {
    return encryptedOf(await seal(bytes), key);
  } finally {
    bytes.fill(0);
  }
}

function encryptedOf(bytes: Buffer, { currentVersion }: ActiveKey): Encrypted {
  return { ciphertext: writeVersioned(currentVersion, bytes), keyVersion: currentVersion };
}

function textOf(plaintext: Buffer): Secret<string> | null {
  try {
    return new Secret(utf8.decode(plaintext));
  } catch {
    return null;
  }
}
