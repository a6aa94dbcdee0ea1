import type { Scope, TenantId } from '../../kernel/ids.js';
import { offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { CrlReason, RevokedEntry } from '../x509/index.js';
import type { CertificateQuery, Ending, IssuedCertificate } from './authorities.js';
import { type AuthorityCertificateRow, authorityTables } from './tables.js';

export type NewCertificate = Omit<IssuedCertificate, 'createdAtMs' | 'revokedAtMs' | 'reason' | 'reasonText'>;

export interface CertificateStatus {
  readonly serial: string;
  readonly revokedAtMs: number | null;
  readonly reason: CrlReason | null;
}

export type CertificateStore = ReturnType<typeof createCertificateStore>;

/** All but its bytes. */
const COLUMNS = [
  'serial',
  'root_id',
  'authority_id',
  'subject',
  'dns',
  'ips',
  'role_id',
  'role_name',
  'client_id',
  'acme_account_id',
  'not_before',
  'not_after',
  'created_at',
  'revoked_at',
  'revocation_reason',
  'revocation_text',
] as const;
const NO_BYTES = Buffer.alloc(0);

/** What authorities have issued, and revoked. */
export function createCertificateStore(db: Database) {
  const view = db.view(authorityTables);

  /** `active` and `expired` are of those that are not revoked. */
  const ofRoot = (scope: Scope, rootId: string, { status }: CertificateQuery, nowMs: number) => {
    const all = view.aside(scope).selectFrom('authority_certificates').where('root_id', '=', rootId);
    if (status === undefined) return all;
    if (status === 'revoked') return all.where('revoked_at', 'is not', null);
    return all.where('revoked_at', 'is', null).where('not_after', status === 'active' ? '>' : '<=', nowMs);
  };

  return {
    async insert(tx: Transaction, scope: Scope, certificate: NewCertificate, nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('authority_certificates')
        .values({
          serial: certificate.serial,
          root_id: certificate.rootId,
          authority_id: certificate.authorityId,
          subject: certificate.subject,
          dns: JSON.stringify(certificate.dns),
          ips: JSON.stringify(certificate.ips),
          role_id: certificate.role?.id ?? null,
          role_name: certificate.role?.name ?? null,
          client_id: certificate.clientId,
          acme_account_id: certificate.acmeAccountId,
          der: certificate.der,
          not_before: certificate.notBeforeMs,
          not_after: certificate.notAfterMs,
          created_at: nowMs,
          revoked_at: null,
          revocation_reason: null,
          revocation_text: null,
        })
        .execute();
    },

    async find(
      scope: Scope,
      rootId: string,
      serial: string,
      tx?: Transaction,
    ): Promise<IssuedCertificate | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('authority_certificates')
        .select([...COLUMNS, 'der'])
        .where('root_id', '=', rootId)
        .where('serial', '=', serial)
        .executeTakeFirst();
      return row && certificateOf(row, row.der);
    },

    async list(scope: Scope, rootId: string, query: CertificateQuery, nowMs: number) {
      const counted = await ofRoot(scope, rootId, query, nowMs)
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .executeTakeFirst();
      const rows = await ofRoot(scope, rootId, query, nowMs)
        .select(COLUMNS)
        .orderBy('created_at', query.order)
        .orderBy('serial', query.order)
        .limit(query.perPage)
        .offset(offsetOf(query.page, query.perPage))
        .execute();
      return { rows: rows.map((row) => certificateOf(row, null)), total: Number(counted?.count ?? 0) };
    },

    async countKnown(
      tx: Transaction,
      scope: Scope,
      serials: readonly string[],
      rootId: string | undefined,
    ): Promise<number> {
      const known = view
        .scoped(scope, tx)
        .selectFrom('authority_certificates')
        .select('serial')
        .where('serial', 'in', serials);
      const rows = await (rootId === undefined ? known : known.where('root_id', '=', rootId)).execute();
      return rows.length;
    },

    /** The authorities of those of them that were not revoked yet. */
    async revoke(
      tx: Transaction,
      scope: Scope,
      {
        serials,
        rootId,
        reason,
        reasonText,
      }: {
        readonly serials: readonly string[];
        readonly rootId?: string | undefined;
        readonly reason: CrlReason;
        readonly reasonText: string | null;
      },
      nowMs: number,
    ): Promise<string[]> {
      const some = view
        .scoped(scope, tx)
        .updateTable('authority_certificates')
        .set({ revoked_at: nowMs, revocation_reason: reason, revocation_text: reasonText })
        .where('serial', 'in', serials)
        .where('revoked_at', 'is', null);
      const rows = await (rootId === undefined ? some : some.where('root_id', '=', rootId))
        .returning('authority_id')
        .execute();
      return rows.map(({ authority_id }) => authority_id);
    },

    /**
     * What belongs on the list after the one of `formerMs`: an entry stays until one list past the certificate's end
     * (clients-pki.md §3.4).
     */
    async listRevoked(scope: Scope, authorityId: string, formerMs: number): Promise<RevokedEntry[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('authority_certificates')
        .select(['serial', 'revoked_at', 'revocation_reason'])
        .where('authority_id', '=', authorityId)
        .where('revoked_at', 'is not', null)
        .where(({ or, eb }) => or([eb('not_after', '>=', formerMs), eb('revoked_at', '>=', formerMs)]))
        .orderBy('revoked_at')
        .execute();
      return rows.map(({ serial, revoked_at, revocation_reason }) => ({
        serial: Buffer.from(serial, 'hex'),
        revokedAtMs: revoked_at!,
        reason: revocation_reason!,
      }));
    },

    async listStatuses(
      scope: Scope,
      authorityId: string,
      serials: readonly string[],
    ): Promise<CertificateStatus[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('authority_certificates')
        .select(['serial', 'revoked_at', 'revocation_reason'])
        .where('authority_id', '=', authorityId)
        .where('serial', 'in', serials)
        .execute();
      return rows.map(({ serial, revoked_at, revocation_reason }) => ({
        serial,
        revokedAtMs: revoked_at,
        reason: revocation_reason,
      }));
    },

    /** Those that are not revoked and end after the one time and no later than the other, in the order of their ends. */
    async listEnding(
      window: { readonly afterMs: number; readonly untilMs: number },
      behind: { readonly notAfterMs: number; readonly id: string },
      rowsMax: number,
    ): Promise<Omit<Ending, 'rootName'>[]> {
      const rows = await view
        .system('authorities')
        .selectFrom('authority_certificates')
        .select(['tenant_id', 'sandbox', ...COLUMNS])
        .where('revoked_at', 'is', null)
        .where('not_after', '>', window.afterMs)
        .where('not_after', '<=', window.untilMs)
        .where(({ or, and, eb }) =>
          or([
            eb('not_after', '>', behind.notAfterMs),
            and([eb('not_after', '=', behind.notAfterMs), eb('serial', '>', behind.id)]),
          ]),
        )
        .orderBy('not_after')
        .orderBy('serial')
        .limit(rowsMax)
        .execute();
      return rows.map((row) => {
        const { serial: id, rootId, subject, role, clientId, ...more } = certificateOf(row, null);
        const { acmeAccountId, notBeforeMs, notAfterMs } = more;
        const scope = { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 };
        return { scope, id, rootId, subject, role, clientId, acmeAccountId, notBeforeMs, notAfterMs };
      });
    },

    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const rows = await queries
        .selectFrom('authority_certificates')
        .select(['tenant_id', 'sandbox', 'serial'])
        .where('not_after', '<', beforeMs)
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, serial } of rows) {
        await view
          .scoped({ tenantId: tenant_id as TenantId, sandbox: sandbox === 1 }, tx)
          .deleteFrom('authority_certificates')
          .where('serial', '=', serial)
          .execute();
      }
      return rows.length;
    },
  };
}

function certificateOf(
  row: Pick<AuthorityCertificateRow, (typeof COLUMNS)[number]>,
  der: Buffer | null,
): IssuedCertificate {
  return {
    serial: row.serial,
    rootId: row.root_id,
    authorityId: row.authority_id,
    subject: row.subject,
    dns: JSON.parse(row.dns) as string[],
    ips: JSON.parse(row.ips) as string[],
    role: row.role_id === null || row.role_name === null ? null : { id: row.role_id, name: row.role_name },
    clientId: row.client_id,
    acmeAccountId: row.acme_account_id,
    notBeforeMs: row.not_before,
    notAfterMs: row.not_after,
    createdAtMs: row.created_at,
    revokedAtMs: row.revoked_at,
    reason: row.revocation_reason,
    reasonText: row.revocation_text,
    der: der ?? NO_BYTES,
  };
}
