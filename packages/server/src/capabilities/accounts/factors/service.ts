import { assert } from '../../../kernel/assert.js';
import type { Clock } from '../../../kernel/clock.js';
import { notFound, validationError } from '../../../kernel/errors.js';
import type { TenantId, UserId } from '../../../kernel/ids.js';
import type { SessionCaller } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import {
  DecryptionRefused,
  decrypt,
  deriveKey,
  encrypt,
  lengthPrefixed,
} from '../../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { recordOfUser } from '../audit.js';
import { noFactorEnrolled, totpEnrolled } from '../errors.js';
import type { SignedIn } from '../sessions/service.js';
import { hashOfRecoveryCode, newRecoveryCodes } from './recovery-codes.js';
import { createFactorStore, type Enrolled } from './store.js';
import { newTotpSecret, type TotpSetup, totpSetupOf, totpStepOf } from './totp.js';
import type { FactorMethod, ProvenFactor } from './types.js';

export interface FactorsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly rootKey: Secret<Buffer>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** A transaction that is refused where the root key is another by now. */
  underRootKey<T>(act: (tx: Transaction) => Promise<T>): Promise<T>;
  /** The caller with its tenants. */
  me(caller: SessionCaller): Promise<SignedIn>;
}

/** Code apps and recovery codes: what a user proves itself with beside its password (auth.md §7). */
export interface Factors {
  enrolled(userId: UserId): Promise<Enrolled>;
  /** By which the user can finish a sign-in; none = the password is enough. */
  methodsOf(userId: UserId): Promise<FactorMethod[]>;
  /** Undefined where the code is not right. */
  verifyTotp(userId: UserId, code: string): Promise<ProvenFactor | undefined>;
  verifyRecoveryCode(userId: UserId, code: string): Promise<ProvenFactor | undefined>;
  /** A secret that counts once `confirmTotp` has seen a code of it. */
  setUpTotp(caller: SessionCaller): Promise<TotpSetup>;
  /** The recovery codes where the user had none; null = those of before are good. */
  confirmTotp(caller: SessionCaller, code: string): Promise<readonly Secret<string>[] | null>;
  removeTotp(caller: SessionCaller): Promise<void>;
  /** Ten new ones in place of those of before. */
  renewRecoveryCodes(caller: SessionCaller): Promise<readonly Secret<string>[]>;
  /** In the transaction that enrols a factor: null where the user has some. */
  firstRecoveryCodes(tx: Transaction, userId: UserId): Promise<readonly Secret<string>[] | null>;
  /** In the transaction that has removed a factor: without one, recovery codes open nothing and go. */
  removeLeftover(tx: Transaction, userId: UserId): Promise<void>;
  /** For the start that changes the root key. */
  changeRootKey(former: Secret<Buffer>): Promise<void>;
}

const REWRAP_BATCH_ROWS = 100;
const ONE_TIME_CODE = ['otp'];

export function createFactors(deps: FactorsDeps): Factors {
  const { db, clock, random, rootKey, auditLogs, me } = deps;
  const store = createFactorStore(db);
  const wrappingKey = wrappingKeyOf(rootKey);

  function seal(userId: UserId, secret: Secret<Buffer>): Buffer {
    return encrypt(random, wrappingKey, aadOf(userId), secret.reveal());
  }

  function unseal(userId: UserId, wrapped: Buffer, key = wrappingKey): Secret<Buffer> | null {
    try {
      return new Secret(decrypt(key, aadOf(userId), wrapped));
    } catch (error) {
      if (error instanceof DecryptionRefused) return null;
      throw error;
    }
  }

  function secretOf(userId: UserId, wrapped: Buffer): Secret<Buffer> {
    const secret = unseal(userId, wrapped);
    assert(secret, 'the secret of a code app is of another root key');
    return secret;
  }

  async function tenantsOf(caller: SessionCaller): Promise<{ email: string; tenants: TenantId[] }> {
    const { user, memberships } = await me(caller);
    return { email: user.email, tenants: memberships.map(({ tenantId }) => tenantId) };
  }

  async function renew(tx: Transaction, userId: UserId): Promise<readonly Secret<string>[]> {
    const codes = newRecoveryCodes(random);
    const hashes = codes.map((code) => hashOfRecoveryCode(userId, code.reveal()));
    await store.replaceRecoveryCodes(tx, userId, hashes, clock.nowMs());
    return codes;
  }

  async function firstRecoveryCodes(tx: Transaction, userId: UserId) {
    const { recoveryCodes } = await store.enrolled(userId, tx);
    return recoveryCodes > 0 ? null : renew(tx, userId);
  }

  async function removeLeftover(tx: Transaction, userId: UserId): Promise<void> {
    const { totpSinceMs, passkeys } = await store.enrolled(userId, tx);
    if (totpSinceMs === null && passkeys === 0) await store.replaceRecoveryCodes(tx, userId, [], 0);
  }

  return {
    enrolled: (userId) => store.enrolled(userId),

    async methodsOf(userId) {
      const { totpSinceMs, passkeys, recoveryCodes } = await store.enrolled(userId);
      const methods: FactorMethod[] = [];
      if (totpSinceMs !== null) methods.push('totp');
      if (passkeys > 0) methods.push('webauthn');
      if (methods.length > 0 && recoveryCodes > 0) methods.push('recovery');
      return methods;
    },

    async verifyTotp(userId, code) {
      const factor = await store.findTotp(userId);
      if (!factor || factor.confirmedAtMs === null) return undefined;
      const step = await totpStepOf(secretOf(userId, factor.wrappedSecret), code, clock.nowMs());
      if (step === null || step <= factor.lastStep) return undefined;
      return { amr: ONE_TIME_CODE, use: (tx) => store.useTotpStep(tx, userId, step) };
    },

    async verifyRecoveryCode(userId, code) {
      const hash = hashOfRecoveryCode(userId, code);
      if (!(await store.hasRecoveryCode(userId, hash))) return undefined;
      return { amr: ONE_TIME_CODE, use: (tx) => store.useRecoveryCode(tx, userId, hash) };
    },

    async setUpTotp(caller) {
      const { email } = await tenantsOf(caller);
      const { userId } = caller;
      const secret = newTotpSecret(random);
      const wrapped = seal(userId, secret);
      const isPut = await deps.underRootKey((tx) => store.putTotp(tx, userId, wrapped, clock.nowMs()));
      if (!isPut) throw totpEnrolled();
      return totpSetupOf(secret, email);
    },

    async confirmTotp(caller, code) {
      const { userId } = caller;
      const factor = await store.findTotp(userId);
      if (!factor) throw notFound('TOTP set-up');
      if (factor.confirmedAtMs !== null) throw totpEnrolled();
      const nowMs = clock.nowMs();
      const step = await totpStepOf(secretOf(userId, factor.wrappedSecret), code, nowMs);
      if (step === null) throw validationError('code', 'is not what the app shows for this secret now');
      const { tenants } = await tenantsOf(caller);
      return db.transaction(async (tx) => {
        if (!(await store.confirmTotp(tx, factor, step, nowMs))) throw totpEnrolled();
        const of = { tenants, userId, visitor: caller };
        await recordOfUser(tx, auditLogs, of, 'auth.mfa.enroll', { method: 'totp' });
        return firstRecoveryCodes(tx, userId);
      });
    },

    async removeTotp(caller) {
      const { userId } = caller;
      const { tenants } = await tenantsOf(caller);
      await db.transaction(async (tx) => {
        if (!(await store.removeTotp(tx, userId))) throw notFound('TOTP');
        await removeLeftover(tx, userId);
        const of = { tenants, userId, visitor: caller };
        await recordOfUser(tx, auditLogs, of, 'auth.mfa.remove', { method: 'totp' });
      });
    },

    async renewRecoveryCodes(caller) {
      const { userId } = caller;
      const { tenants } = await tenantsOf(caller);
      return db.transaction(async (tx) => {
        const { totpSinceMs, passkeys } = await store.enrolled(userId, tx);
        if (totpSinceMs === null && passkeys === 0) throw noFactorEnrolled();
        const of = { tenants, userId, visitor: caller };
        await recordOfUser(tx, auditLogs, of, 'auth.mfa.enroll', { method: 'recovery' });
        return renew(tx, userId);
      });
    },

    firstRecoveryCodes,
    removeLeftover,

    async changeRootKey(formerKey) {
      const former = wrappingKeyOf(formerKey);
      let last = '';
      for (;;) {
        const factors = await store.listTotpAfter(last, REWRAP_BATCH_ROWS);
        const end = factors.at(-1);
        if (!end) return;
        last = end.userId;
        await db.transaction(async (tx) => {
          for (const factor of factors) {
            const { userId, wrappedSecret } = factor;
            if (unseal(userId, wrappedSecret)) continue;
            // What neither key opens was unreadable before: its user needs `owner reset-password --remove-factors`.
            const secret = unseal(userId, wrappedSecret, former);
            if (secret) await store.rewrapTotp(tx, factor, seal(userId, secret));
          }
        });
      }
    },
  };
}

/** Derived, because the root key itself wraps tenants' keys. */
function wrappingKeyOf(rootKey: Secret<Buffer>): Buffer {
  return deriveKey(rootKey.reveal(), Buffer.alloc(0), 'knox.root.totp');
}

function aadOf(userId: UserId): Buffer {
  return lengthPrefixed(['knox.totp-secret', userId]);
}
