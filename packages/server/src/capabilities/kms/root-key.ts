import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import type { Secret } from '../../kernel/secret.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { RootKeyMismatch, rootKeyChangeUnfinished, rootKeyNotChanged, tenantSealed } from './errors.js';
import { providers } from './providers/index.js';
import { type KmsProvider, ProviderRejected, type WrapContext } from './providers/types.js';
import type { KmsStore } from './store.js';
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
  'installation.wrapped',
] as const;

export interface RootKeyChange {
  /** Rows that this process has wrapped anew. */
  readonly rewrapped: number;
  /** What neither key opens: it was unreadable before the change too. */
  readonly unreadable: readonly string[];
}

/** A row to be wrapped anew, wherever it is. */
interface WrappedRow {
  readonly place: string;
  readonly context: WrapContext;
  readonly wrapped: Buffer;
  replace(tx: Transaction, wrapped: Buffer): Promise<void>;
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
  /** 32 bytes that stay the same when the root key changes; made at the first use. */
  installationKey(name: string): Promise<Buffer>;
}

export interface RootKeyDeps {
  readonly db: Database;
  readonly store: KmsStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly key: Secret<Buffer>;
}

export function createRootKey({ db, store, clock, random, key }: RootKeyDeps): RootKey {
  const provider = providers[WRAP_METHOD]({ rootKey: key, random });

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
    const former = providers[WRAP_METHOD]({ rootKey: formerKey, random });
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
    for await (const rows of batches(current)) {
      const done: { row: WrappedRow; wrapped: Buffer }[] = [];
      for (const row of rows) {
        if (await opensRow(provider, row)) continue;
        const opened = await openedBy(former, row);
        if (opened) done.push({ row, wrapped: await provider.wrap(opened, row.context) });
        else unreadable.push(row.place);
        opened?.fill(0);
      }
      await db.transaction(async (tx) => {
        await assertUnchanged(tx, current);
        for (const { row, wrapped } of done) await row.replace(tx, wrapped);
      });
      rewrapped += done.length;
    }
    return { rewrapped, unreadable };
  }

  /** Read together with the check, so that a row on its way in under the former key cannot slip by. */
  async function* batches(current: Buffer): AsyncGenerator<WrappedRow[]> {
    yield await db.transaction(async (tx) => {
      await assertUnchanged(tx, current);
      return (await store.listWrappedInstallationValues(tx)).map((value) => ({
        place: `installation ${value.name}`,
        context: installationContext(value.name),
        wrapped: value.wrapped,
        replace: (tx, wrapped) => store.rewrapInstallationValue(tx, value, wrapped),
      }));
    });
    let last: WrapContext = { tenantId: '' as TenantId, version: 0 };
    for (;;) {
      const keys = await db.transaction(async (tx) => {
        await assertUnchanged(tx, current);
        return await store.listWrappedMasterKeys(tx, WRAP_METHOD, last, REWRAP_BATCH_ROWS);
      });
      if (keys.length === 0) return;
      last = keys.at(-1) as WrapContext;
      yield keys.map((masterKey) => ({
        place: `master key ${masterKey.version} of tenant ${masterKey.tenantId}`,
        context: masterKey,
        wrapped: masterKey.wrapped,
        replace: (tx, wrapped) => store.rewrapMasterKey(tx, masterKey, wrapped),
      }));
    }
  }

  return {
    wrapMethod: WRAP_METHOD,
    provider,
    check,
    assertUnchanged,
    changeFrom,

    async installationKey(name) {
      const context = installationContext(name);
      let stored = await store.findInstallationValue(name);
      if (!stored) {
        const current = await check();
        const made = random.bytes(KEY_BYTES);
        const wrapped = await provider.wrap(made, context);
        made.fill(0);
        await db.transaction(async (tx) => {
          await assertUnchanged(tx, current);
          await store.insertInstallationValue(tx, name, { value: null, wrapped }, clock.nowMs());
        });
        stored = await store.findInstallationValue(name);
      }
      assert(stored?.wrapped, `the installation key ${name} was not stored`);
      return await provider.unwrap(stored.wrapped, context);
    },
  };
}

function installationContext(name: string): WrapContext {
  return { tenantId: `installation:${name}` as TenantId, version: 0 };
}

async function opensCheck(provider: KmsProvider, wrapped: Buffer): Promise<boolean> {
  const opened = await openedBy(provider, { context: CHECK_CONTEXT, wrapped });
  return opened !== null && equalInConstantTime(opened, CHECK_PLAINTEXT);
}

async function opensRow(provider: KmsProvider, row: WrappedRow): Promise<boolean> {
  const opened = await openedBy(provider, row);
  opened?.fill(0);
  return opened !== null;
}

async function openedBy(
  provider: KmsProvider,
  { wrapped, context }: Pick<WrappedRow, 'wrapped' | 'context'>,
): Promise<Buffer | null> {
  try {
    return await provider.unwrap(wrapped, context);
  } catch (error) {
    if (error instanceof ProviderRejected) return null;
    throw error;
  }
}
