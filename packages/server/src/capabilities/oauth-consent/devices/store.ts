import type { OAuthClientId, TenantId, UserId } from '../../../kernel/ids.js';
import { networkOf } from '../../../kernel/ip-address.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type DeviceStatus, type OAuthConsentTables, oauthConsentTables } from '../tables.js';

export interface Device {
  readonly deviceCodeHash: Buffer;
  readonly userCodeHash: Buffer;
  /** Null until it is approved, of the CLI's alias. */
  readonly tenantId: TenantId | null;
  readonly sandbox: boolean;
  readonly oauthClientId: OAuthClientId | null;
  readonly isByAlias: boolean;
  /** Null = everything that the client may have. */
  readonly askedScopes: readonly string[] | null;
  readonly ip: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly intervalSeconds: number;
}

/** What was said about it, and by whom. */
export interface DeviceVerdict {
  readonly tenantId: TenantId;
  readonly oauthClientId: OAuthClientId;
  readonly userId: UserId;
  readonly epoch: number;
  readonly scopes: readonly string[];
}

export interface StoredDevice extends Device {
  readonly status: DeviceStatus;
  readonly lastPolledAtMs: number | null;
  /** Of one that was approved. */
  readonly verdict: DeviceVerdict | null;
}

export type DeviceStore = ReturnType<typeof createDeviceStore>;

type Row = OAuthConsentTables['oauth_devices'];

export function createDeviceStore(db: Database) {
  const view = db.view(oauthConsentTables);

  return {
    async insert(tx: Transaction, device: Device): Promise<void> {
      await view
        .system('device_codes', tx)
        .insertInto('oauth_devices')
        .values({
          device_code_hash: device.deviceCodeHash,
          user_code_hash: device.userCodeHash,
          owner_tenant_id: device.tenantId,
          sandbox: device.sandbox ? 1 : 0,
          oauth_client_id: device.oauthClientId,
          by_alias: device.isByAlias ? 1 : 0,
          asked_scopes: device.askedScopes?.join(' ') ?? null,
          scopes: null,
          user_id: null,
          source_epoch: null,
          status: 'pending',
          interval_seconds: device.intervalSeconds,
          last_polled_at: null,
          ip_address: device.ip,
          network: networkOf(device.ip),
          created_at: device.createdAtMs,
          expires_at: device.expiresAtMs,
        })
        .execute();
    },

    /** Of one network, counted up to `most`. */
    async countLive(tx: Transaction, ip: string | null, nowMs: number, most: number): Promise<number> {
      const rows = await view
        .system('device_codes', tx)
        .selectFrom('oauth_devices')
        .select('device_code_hash')
        .where('network', '=', networkOf(ip))
        .where('expires_at', '>', nowMs)
        .limit(most)
        .execute();
      return rows.length;
    },

    async findByDeviceCode(hash: Buffer): Promise<StoredDevice | undefined> {
      const row = await view
        .system('device_codes')
        .selectFrom('oauth_devices')
        .selectAll()
        .where('device_code_hash', '=', hash)
        .executeTakeFirst();
      return row && deviceOf(row);
    },

    async findByUserCode(hash: Buffer): Promise<StoredDevice | undefined> {
      const row = await view
        .system('device_codes')
        .selectFrom('oauth_devices')
        .selectAll()
        .where('user_code_hash', '=', hash)
        .executeTakeFirst();
      return row && deviceOf(row);
    },

    /** False where somebody has said something about it already, or its time is over. */
    async decide(
      tx: Transaction,
      hash: Buffer,
      status: 'approved' | 'denied',
      verdict: DeviceVerdict,
      nowMs: number,
    ): Promise<boolean> {
      const rows = await view
        .system('device_codes', tx)
        .updateTable('oauth_devices')
        .set({
          status,
          owner_tenant_id: verdict.tenantId,
          oauth_client_id: verdict.oauthClientId,
          user_id: verdict.userId,
          source_epoch: verdict.epoch,
          scopes: verdict.scopes.join(' '),
        })
        .where('device_code_hash', '=', hash)
        .where('status', '=', 'pending')
        .where('expires_at', '>', nowMs)
        .returning('device_code_hash')
        .execute();
      return rows.length > 0;
    },

    /** False where it was used already: of several that try at once, one gets true. */
    async use(tx: Transaction, hash: Buffer): Promise<boolean> {
      const rows = await view
        .system('device_codes', tx)
        .updateTable('oauth_devices')
        .set({ status: 'used' })
        .where('device_code_hash', '=', hash)
        .where('status', '=', 'approved')
        .returning('device_code_hash')
        .execute();
      return rows.length > 0;
    },

    async recordPoll(tx: Transaction, hash: Buffer, nowMs: number, intervalSeconds: number): Promise<void> {
      await view
        .system('device_codes', tx)
        .updateTable('oauth_devices')
        .set({ last_polled_at: nowMs, interval_seconds: intervalSeconds })
        .where('device_code_hash', '=', hash)
        .execute();
    },

    /** Those that ended before, at most so many; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('oauth_devices')
        .select('device_code_hash')
        .where('expires_at', '<', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (ended.length === 0) return 0;
      const hashes = ended.map(({ device_code_hash }) => device_code_hash);
      await queries.deleteFrom('oauth_devices').where('device_code_hash', 'in', hashes).execute();
      return ended.length;
    },
  };
}

function deviceOf(row: Row): StoredDevice {
  return {
    deviceCodeHash: row.device_code_hash,
    userCodeHash: row.user_code_hash,
    tenantId: row.owner_tenant_id,
    sandbox: row.sandbox === 1,
    oauthClientId: row.oauth_client_id,
    isByAlias: row.by_alias === 1,
    askedScopes: namesIn(row.asked_scopes),
    ip: row.ip_address,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    intervalSeconds: row.interval_seconds,
    status: row.status,
    lastPolledAtMs: row.last_polled_at,
    verdict: verdictOf(row),
  };
}

function verdictOf(row: Row): DeviceVerdict | null {
  const {
    owner_tenant_id: tenantId,
    oauth_client_id: oauthClientId,
    user_id: userId,
    source_epoch: epoch,
  } = row;
  const scopes = namesIn(row.scopes);
  if (tenantId === null || oauthClientId === null || userId === null || epoch === null || scopes === null)
    return null;
  return { tenantId, oauthClientId, userId, epoch, scopes };
}

function namesIn(text: string | null): readonly string[] | null {
  return text?.split(' ').filter((name) => name !== '') ?? null;
}
