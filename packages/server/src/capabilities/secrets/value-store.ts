import type { Selectable } from 'kysely';
import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { CertificateInfo } from './certificates/bundle.js';
import { foldName, normalizeName } from './names.js';
import { secretOf } from './store.js';
import { type SecretRow, type SecretValueRow, secretTables } from './tables.js';
import type { OnSecretWrite, SecretReference, StoredSecret } from './types.js';
import type { SealedValue } from './values.js';

/** What may be known of a value. */
export interface ValueHead {
  readonly environment: string;
  readonly version: number;
  /** Null: the secret's own expiry. */
  readonly expiresAtOverrideMs: number | null;
  /** Null of what is no certificate. */
  readonly certificate: CertificateInfo | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface StoredValue extends ValueHead, SealedValue {}

/** A secret with the value that holds in an environment: its own, else that of the base environment. */
export interface SecretInUse {
  readonly secret: StoredSecret;
  /** Null where the type keeps its values elsewhere. */
  readonly value: StoredValue | null;
}

const HEAD = [
  'environment_name',
  'value_version',
  'expires_at_override',
  'certificate_info',
  'created_at',
  'updated_at',
] as const;
type HeadRow = Pick<Selectable<SecretValueRow>, (typeof HEAD)[number]>;

type InUseRow = Selectable<SecretRow> & {
  readonly value_id: string | null;
  readonly value_envelope: Buffer | null;
  readonly environment_name: string | null;
  readonly value_version: number | null;
  readonly expires_at_override: number | null;
  readonly certificate_info: string | null;
  readonly value_created_at: number | null;
  readonly value_updated_at: number | null;
};

export type SecretValueStore = ReturnType<typeof createSecretValueStore>;

export function createSecretValueStore(db: Database, onWrite: OnSecretWrite = async () => {}) {
  const view = db.view(secretTables);

  /** One statement: a list of hosts and a value that were changed together are never read apart. */
  const inUse = (column: 'id' | 'name_folded') =>
    view.define<{ key: string; environment: string }, InUseRow>(
      `secret_in_use_by_${column}`,
      (queries, arg) =>
        queries
          .selectFrom('secrets as s')
          .leftJoin('secret_values as v', (join) =>
            join
              .onRef('v.tenant_id', '=', 's.tenant_id')
              .onRef('v.sandbox', '=', 's.sandbox')
              .onRef('v.secret_id', '=', 's.id'),
          )
          .selectAll('s')
          .select([
            'v.id as value_id',
            'v.value_envelope',
            'v.environment_name',
            'v.value_version',
            'v.expires_at_override',
            'v.certificate_info',
            'v.created_at as value_created_at',
            'v.updated_at as value_updated_at',
          ])
          .where(`s.${column}`, '=', arg('key'))
          .where((eb) =>
            eb.or([
              eb('v.environment_name', '=', arg('environment')),
              eb('v.environment_name', '=', eb.ref('s.base_environment')),
              eb('v.id', 'is', null),
            ]),
          ),
    );
  const byId = inUse('id');
  const byName = inUse('name_folded');

  return {
    /** Undefined where there is no such secret. */
    async inUse(
      scope: Scope,
      { by, text }: SecretReference,
      environment: string | null,
    ): Promise<SecretInUse | undefined> {
      const args = { environment: environment ?? '' };
      const rows = await (by === 'id'
        ? byId.all(scope, { ...args, key: text.toLowerCase() })
        : byName.all(scope, { ...args, key: foldName(normalizeName(text)) }));
      const row = rows.find(({ environment_name }) => environment_name === environment) ?? rows[0];
      return row && { secret: secretOf(row), value: storedValueOf(row) };
    },

    /** In order of their environments. */
    async heads(scope: Scope, secretId: string, tx?: Transaction): Promise<ValueHead[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('secret_values')
        .select(HEAD)
        .where('secret_id', '=', secretId)
        .orderBy('environment_name')
        .execute();
      return rows.map(headOf);
    },

    async insert(tx: Transaction, scope: Scope, secretId: string, value: StoredValue): Promise<void> {
      await onWrite(tx, scope);
      await view
        .scoped(scope, tx)
        .insertInto('secret_values')
        .values({ secret_id: secretId, created_at: value.createdAtMs, ...columnsOf(value) })
        .execute();
    },

    /** In the place of the one that the environment has. */
    async replace(tx: Transaction, scope: Scope, secretId: string, value: StoredValue): Promise<void> {
      await onWrite(tx, scope);
      await view
        .scoped(scope, tx)
        .updateTable('secret_values')
        .set(columnsOf(value))
        .where('secret_id', '=', secretId)
        .where('environment_name', '=', value.environment)
        .execute();
    },

    /** What was changed of the secret was changed of each of its values. */
    async touch(tx: Transaction, scope: Scope, secretId: string, nowMs: number): Promise<void> {
      await onWrite(tx, scope);
      await view
        .scoped(scope, tx)
        .updateTable('secret_values')
        .set({ updated_at: nowMs })
        .where('secret_id', '=', secretId)
        .execute();
    },

    async removeEnvironment(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      await onWrite(tx, scope);
      const rows = await view
        .scoped(scope, tx)
        .deleteFrom('secret_values')
        .where('environment_name', '=', environment)
        .returning('id')
        .execute();
      return rows.length;
    },
  };
}

function columnsOf(value: StoredValue) {
  return {
    id: value.id,
    environment_name: value.environment,
    value_version: value.version,
    value_envelope: value.envelope,
    certificate_info: value.certificate && JSON.stringify(value.certificate),
    expires_at_override: value.expiresAtOverrideMs,
    updated_at: value.updatedAtMs,
  };
}

function headOf(row: HeadRow): ValueHead {
  return {
    environment: row.environment_name,
    version: row.value_version,
    expiresAtOverrideMs: row.expires_at_override,
    certificate: row.certificate_info === null ? null : (JSON.parse(row.certificate_info) as CertificateInfo),
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function storedValueOf(row: InUseRow): StoredValue | null {
  if (row.value_id === null) return null;
  return {
    id: row.value_id,
    envelope: row.value_envelope!,
    ...headOf({
      environment_name: row.environment_name!,
      value_version: row.value_version!,
      expires_at_override: row.expires_at_override,
      certificate_info: row.certificate_info,
      created_at: row.value_created_at!,
      updated_at: row.value_updated_at!,
    }),
  };
}
