import { randomBytes } from 'node:crypto';
import type { Services } from '../app/services.js';
import { KEY_ENVELOPE } from '../capabilities/crypto-keys/envelope-columns.js';
import { cryptoKeyTables } from '../capabilities/crypto-keys/tables.js';
import type { CryptoKeyId, Scope } from '../kernel/ids.js';
import { systemIds } from '../platform/crypto/random.js';
import type { Database } from '../platform/storage/database.js';

const AT_ONCE = 1_000;
/** Far above those that rotations of the key give. */
export const FIRST_NUMBER = 10_000_000;

/** As many stored secrets as that: versions of a key that nothing was encrypted under, each in an envelope of its own. */
export async function addKeyVersions(
  { db, kms }: Pick<Services, 'kms'> & { readonly db: Database },
  scope: Scope,
  keyId: string,
  count: number,
): Promise<void> {
  const view = db.view(cryptoKeyTables);
  const { table, column } = KEY_ENVELOPE;
  const mode = scope.sandbox ? 'test' : 'live';
  const rowOf = async (number: number) => {
    const id = systemIds.uuid();
    const place = { tenantId: scope.tenantId, mode, table, rowId: id, column } as const;
    return view.insertion('crypto_key_versions', scope, {
      id,
      key_id: keyId as CryptoKeyId,
      version: FIRST_NUMBER + number,
      key_envelope: await kms.seal(place, randomBytes(32)),
      created_at: 0,
      destroyed_at: null,
    });
  };
  for (let from = 0; from < count; from += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => from + index);
    await db.commitInserts(await Promise.all(numbers.map(rowOf)));
  }
}
