import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import type { Secret } from '../../kernel/secret.js';
import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { RootKeyMismatch, rootKeyChangeUnfinished, rootKeyNotChanged, tenantSealed } from './errors.js';
import { createLocalProvider } from './providers/local.js';
import { KmsFailure, type KmsProvider, type WrapContext } from './providers/types.js';
import type { KmsStore, WrappedMasterKey } from './store.js';
import type { WrapMethod } from './tables.js';

const WRAP_METHOD: WrapMethod = 'global';
const REWRAP_BATCH_ROWS = 100;

/** What the stored check value must open to. Not a tenant's context: no tenant has an empty id or a version 0. */
const CHECK_CONTEXT: WrapContext = { tenantId: '' as TenantId, version: 0 };
const CHECK_PLAINTEXT = Buffer.from('knox.root-key-check', 'ascii');

/** Every column that holds what the root key has wrapped; a test compares them with those of all migrations. */
export const ROOT_WRAPPED_COLUMNS = [
  'tenant_master_keys.wrapped',
  'root_key_checks.wrapped',
  'root_key_checks.former_wrapped',
  // By accounts, under a key derived from it; `openKeys` has it wrapped anew.
  'signing_keys.wrapped_key',
  'totp_factors.wrapped_secret',
] as const;

export interface RootKeyChange {
  /** Rows that this process has wrapped anew. */
  readonly rewrapped: number;
  /** What neither key opens: it was unreadable before the change too. */
  readonly unreadable: readonly string[];
}

/** The key that wraps the others, and its change (kms-admin.md §3.1, §7). */
export interface RootKey {
  readonly wrapMethod: WrapMethod;
  readonly provider: KmsProvider;
  /**
   * The stored check, which this key opens; made by the first start. Throws `RootKeyMismatch` where the data was
   * wrapped with another key.
   */
  check(): Promise<Buffer>;
  /**
   * Refuses to store what was wrapped under `check` once another process has changed the root key. Part of the
   * transaction: of a change and a write under the former key that cross, the database lets one commit.
   */
  assertUnchanged(tx: Transaction, check: Buffer): Promise<void>;
  /** Wraps everything anew that `former` has wrapped. Null where that is done, or where nothing is wrapped yet. */
  changeFrom(former: Secret<Buffer>): Promise<RootKeyChange | null>;
}

export interface RootKeyDeps {
  readonly db: Database;
  readonly store: KmsStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly key: Secret<Buffer>;
}

export function createRootKey({ db, store, clock, random, key }: RootKeyDeps): RootKey {
  const provider = createLocalProvider({ rootKey: key, random });

  async function check(): Promise<Buffer> {
    let stored = await store.findRootKeyCheck(WRAP_METHOD);
    if (!stored) {
      const wrapped = await provider.wrap(CHECK_PLAINTEXT, CHECK_CONTEXT);
      await store.insertRootKeyCheck(WRAP_METHOD, wrapped, clock.nowMs());
      stored = await store.findRootKeyCheck(WRAP_METHOD);
    }
    assert(stored, 'the root key check was not stored');
    if (stored.formerWrapped) throw rootKeyChangeUnfinished();
    if (!(await opensCheck(provider, stored.wrapped))) throw new RootKeyMismatch();
    return stored.wrapped;
  }

  async function assertUnchanged(tx: Transaction, made: Buffer): Promise<void> {
    const stored = await store.findRootKeyCheck(WRAP_METHOD, tx);
    if (!stored?.wrapped.equals(made)) {
      throw tenantSealed('the root key was changed by another process; start this one with the new root key');
    }
  }

  // The check is changed first: from then on no process with the former key can add a row that the pass would miss,
  // and a start with one key alone is refused until the pass has ended.
  async function changeFrom(formerKey: Secret<Buffer>): Promise<RootKeyChange | null> {
    if (equalInConstantTime(formerKey.reveal(), key.reveal())) throw rootKeyNotChanged();
    const former = createLocalProvider({ rootKey: formerKey, random });
    let stored = await store.findRootKeyCheck(WRAP_METHOD);
    if (!stored) return null;
    if (await opensCheck(former, stored.wrapped)) {
      // Either nothing is under way, or the change under way is the one that this one takes back.
      if (stored.formerWrapped && !(await opensCheck(provider, stored.formerWrapped)))
        throw rootKeyChangeUnfinished();
      const begun = {
        wrapped: await provider.wrap(CHECK_PLAINTEXT, CHECK_CONTEXT),
        formerWrapped: stored.wrapped,
      };
      await db.transaction((tx) => store.replaceRootKeyCheck(tx, WRAP_METHOD, begun.formerWrapped, begun));
      stored = await store.findRootKeyCheck(WRAP_METHOD);
    }
    if (!stored || !(await opensCheck(provider, stored.wrapped))) {
      throw stored?.formerWrapped ? rootKeyChangeUnfinished() : new RootKeyMismatch();
    }
    if (!stored.formerWrapped) return null;
    if (!(await opensCheck(former, stored.formerWrapped))) throw rootKeyChangeUnfinished();
    const { wrapped } = stored;
    const change = await rewrapAll(former, wrapped);
    const ended = { wrapped, formerWrapped: null };
    await db.transaction((tx) => store.replaceRootKeyCheck(tx, WRAP_METHOD, wrapped, ended));
    return change;
  }

  async function rewrapAll(former: KmsProvider, current: Buffer): Promise<RootKeyChange> {
    const unreadable: string[] = [];
    let rewrapped = 0;
    let last: WrapContext = { tenantId: '' as TenantId, version: 0 };
    for (;;) {
      const keys = await listAfter(last, current);
      const end = keys.at(-1);
      if (!end) return { rewrapped, unreadable };
      last = end;
      const done: { key: WrappedMasterKey; wrapped: Buffer }[] = [];
      for (const key of keys) {
        if (await opens(provider, key)) continue;
        const opened = await openedBy(former, key.wrapped, key);
        if (opened) done.push({ key, wrapped: await provider.wrap(opened, key) });
        else unreadable.push(`master key ${key.version} of tenant ${key.tenantId}`);
        opened?.fill(0);
      }
      await db.transaction(async (tx) => {
        await assertUnchanged(tx, current);
        for (const { key, wrapped } of done) await store.rewrapMasterKey(tx, key, { ...key, wrapped });
      });
      rewrapped += done.length;
    }
  }

  /** Read together with the check, so that a row on its way in under the former key cannot slip by. */
  function listAfter(last: WrapContext, current: Buffer): Promise<WrappedMasterKey[]> {
    return db.transaction(async (tx) => {
      await assertUnchanged(tx, current);
      return await store.listWrappedMasterKeys([WRAP_METHOD], last, REWRAP_BATCH_ROWS, tx);
    });
  }

  return { wrapMethod: WRAP_METHOD, provider, check, assertUnchanged, changeFrom };
}

async function opensCheck(provider: KmsProvider, wrapped: Buffer): Promise<boolean> {
  const opened = await openedBy(provider, wrapped, CHECK_CONTEXT);
  return opened !== null && equalInConstantTime(opened, CHECK_PLAINTEXT);
}

async function opens(provider: KmsProvider, key: WrappedMasterKey): Promise<boolean> {
  const opened = await openedBy(provider, key.wrapped, key);
  opened?.fill(0);
  return opened !== null;
}

async function openedBy(
  provider: KmsProvider,
  wrapped: Buffer,
  context: WrapContext,
): Promise<Buffer | null> {
  try {
    return await provider.unwrap(wrapped, context);
  } catch (error) {
    if (error instanceof KmsFailure && error.reason === 'bad_ciphertext') return null;
    throw error;
  }
}
