import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { TenantId } from '../../kernel/ids.js';
import type { Generations } from '../../platform/cache/generations.js';
import { KEY_BYTES } from '../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { RootKeyMismatch, tenantSealed } from './errors.js';
import type { WrapContext } from './providers/types.js';
import type { RootKey } from './root-key.js';
import type { KmsStore, NewMasterKey, Wrapping } from './store.js';

/** A master key made and wrapped outside any transaction, for one tenant and one version number. */
export interface PreparedMasterKey extends NewMasterKey {
  readonly tenantId: TenantId;
  /** The check value of the root key in force. */
  readonly rootKeyCheck: Buffer;
}

export type Wrap = (dek: Buffer, context: WrapContext) => Promise<Wrapping>;

/** A try to add a version. */
export interface VersionPlan<Result> {
  readonly wrap: Wrap;
  /** What changes together with the version. Throws `Overtaken` where the plan no longer holds: another is made then. */
  finish(tx: Transaction, version: number): Promise<Result>;
}

export class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** The versions of tenants' master keys (kms-admin.md §3.3). */
export interface MasterKeyVersions {
  prepare(tenantId: TenantId, version: number, wrap: Wrap): Promise<PreparedMasterKey>;
  insertFirst(tx: Transaction, tenantId: TenantId, prepared: PreparedMasterKey): Promise<void>;
  /** The next version becomes the active one, the former is retired. May call a KMS, so never inside a transaction. */
  add<Result>(tenantId: TenantId, plan: () => Promise<VersionPlan<Result>>): Promise<Result>;
}

const GENERATION = 'tenant_kms:';
const TRIES = 8;

/**
 * The generation that every change of a tenant's master-key versions or KMS configuration bumps in its transaction:
 * opened master keys, and the keys opened with them, leave the memory of every process within 1 s.
 */
export function kmsGeneration(tenantId: TenantId): string {
  return `${GENERATION}${tenantId}`;
}

/** Of a generation of that kind. */
export function tenantOfKmsGeneration(name: string): TenantId | null {
  return name.startsWith(GENERATION) ? (name.slice(GENERATION.length) as TenantId) : null;
}

export interface MasterKeyVersionsDeps {
  readonly db: Database;
  readonly store: KmsStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly root: RootKey;
  readonly generations: Pick<Generations, 'bump'>;
}

export function createMasterKeyVersions(deps: MasterKeyVersionsDeps): MasterKeyVersions {
  const { db, store, clock, random, root, generations } = deps;

  async function prepare(tenantId: TenantId, version: number, wrap: Wrap): Promise<PreparedMasterKey> {
    const rootKeyCheck = await root.check().catch((error) => {
      throw error instanceof RootKeyMismatch ? tenantSealed(error.message, error) : error;
    });
    const dek = random.bytes(KEY_BYTES);
    try {
      return { tenantId, version, ...(await wrap(dek, { tenantId, version })), rootKeyCheck };
    } finally {
      dek.fill(0);
    }
  }

  async function activate<Result>(
    prepared: PreparedMasterKey,
    finish: VersionPlan<Result>['finish'],
  ): Promise<Result> {
    const { tenantId, version } = prepared;
    return db.transaction(async (tx) => {
      await tx.lock('tenants', tenantId);
      await root.assertUnchanged(tx, prepared.rootKeyCheck);
      if ((await store.lastVersion(tenantId, tx)) !== version - 1) throw new Overtaken();
      await store.retireActive(tx, tenantId, clock.nowMs());
      await store.insertActive(tx, tenantId, prepared, clock.nowMs());
      await generations.bump(tx, kmsGeneration(tenantId));
      return await finish(tx, version);
    });
  }

  return {
    prepare,

    async insertFirst(tx, tenantId, prepared) {
      assert(prepared.tenantId === tenantId, 'the master key was prepared for another tenant');
      await root.assertUnchanged(tx, prepared.rootKeyCheck);
      await store.insertActive(tx, tenantId, prepared, clock.nowMs());
    },

    // The version is part of what the wrapping binds, and no KMS is called inside a transaction: so the key is
    // wrapped for the next number first, and again when another change has taken it meanwhile.
    async add(tenantId, plan) {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const { wrap, finish } = await plan();
        const prepared = await prepare(tenantId, (await store.lastVersion(tenantId)) + 1, wrap);
        try {
          return await activate(prepared, finish);
        } catch (error) {
          if (!(error instanceof Overtaken)) throw error;
        }
      }
      throw tenantSealed(`a new version lost ${TRIES} races`);
    },
  };
}
