import type { Scope } from '../../../kernel/ids.js';
import type { Transaction } from '../../../platform/storage/database.js';
import type { ClientCa, RevocationReason } from '../../client-ca/index.js';
import type { Credential } from './store.js';

/** Revokes those certificates of deleted credentials that were issued here; answers how many. */
export async function revokeIssued(
  clientCa: ClientCa,
  tx: Transaction,
  scope: Scope,
  credentials: readonly Credential[],
  reason: RevocationReason,
): Promise<number> {
  const serials = credentials.flatMap(({ evidence }) =>
    evidence.kind === 'mtls_thumbprint' && evidence.issued ? [evidence.issued.serial] : [],
  );
  return serials.length > 0 ? clientCa.revoke(tx, scope, serials, reason) : 0;
}
