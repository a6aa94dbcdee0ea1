import { type Clock, wholeSeconds } from '../../kernel/clock.js';
import { AppError, isAppError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { createLine } from '../../kernel/line.js';
import { loadX509, type OcspRefusal, type OcspStatus } from '../x509/index.js';
import type { Authority, OcspReply } from './authorities.js';
import type { CertificateStatus, CertificateStore } from './certificate-store.js';
import type { AuthorityKeys } from './keys.js';
import type { AuthorityStore } from './store.js';
import { OCSP_LIFE_MS } from './terms.js';

/** Says of certificates whether they are good (RFC 6960), with what the database says at this moment. */
export type OcspResponder = (
  found: { readonly scope: Scope; readonly authority: Authority } | undefined,
  request: Buffer,
) => Promise<OcspReply>;

export interface OcspResponderDeps {
  readonly clock: Clock;
  readonly store: AuthorityStore;
  readonly certificates: CertificateStore;
  readonly keys: AuthorityKeys;
}

export function createOcspResponder(deps: OcspResponderDeps): OcspResponder {
  const { clock, store, certificates, keys } = deps;
  /** Signatures: strangers have one core at most, and the event loop stays everybody's; tenants take turns. */
  const line = createLine({
    atOnceMax: 1,
    waitingMax: LIMITS.ocspWaitingMax,
    ownerWaitingMax: LIMITS.ocspWaitingPerTenantMax,
    refusal: () => new AppError('dependency_unavailable', 'Too many ask by OCSP at once'),
  });

  async function answer(scope: Scope, authority: Authority, request: Buffer): Promise<OcspReply> {
    // Before anything is read, which takes its time too.
    line.admit(scope.tenantId);
    const x509 = await loadX509();
    const question = x509.readOcspRequest(request);
    if (!question) return refusal('malformedRequest');
    const issuer = { name: authority.subject, publicKey: authority.publicKey };
    const { certificates: asked, nonce } = question;
    if (!asked.every((id) => x509.isOfIssuer(id, issuer))) return refusal('unauthorized');
    const known = await statusesOf(scope, authority, [...new Set(asked.map(x509.serialOf))]);
    const nowMs = wholeSeconds(clock.nowMs());
    const statuses = asked.map((id) => [id, known.get(x509.serialOf(id)) ?? 'unknown'] as const);
    const terms = { issuer, statuses, nonce, nowMs, nextUpdateMs: nowMs + OCSP_LIFE_MS };
    // Opened before it is its turn: one tenant's KMS may be slow.
    const sign = await keys.signer(scope, authority);
    const der = await x509.ocspAnswerDer(terms, (message) =>
      line.inTurn(async () => sign(message), scope.tenantId),
    );
    return { der, isCacheable: nonce === null };
  }

  async function statusesOf(
    scope: Scope,
    authority: Authority,
    serials: readonly string[],
  ): Promise<Map<string, OcspStatus>> {
    const rows =
      authority.kind === 'root'
        ? signedBy(await store.listOfRoot(scope, authority.id))
        : await certificates.listStatuses(scope, authority.id, serials);
    return new Map(rows.map((row) => [row.serial, statusOf(row)]));
  }

  return async (found, request) => {
    if (!found) return refusal('unauthorized');
    try {
      return await answer(found.scope, found.authority, request);
    } catch (error) {
      if (isAppError(error) && error.status === 503) return refusal('tryLater');
      throw error;
    }
  };
}

/** A root has signed its own certificate too. No issuing authority is ever revoked. */
function signedBy(authorities: readonly Authority[]): CertificateStatus[] {
  return authorities.map(({ serial }) => ({ serial, revokedAtMs: null, reason: null }));
}

function statusOf({ revokedAtMs, reason }: CertificateStatus): OcspStatus {
  return revokedAtMs === null || reason === null ? 'good' : { revokedAtMs, reason };
}

/** RFC 6960 §2.3: to who asks too much. */
export const ocspTryLater = (): Promise<OcspReply> => refusal('tryLater');

async function refusal(kind: OcspRefusal): Promise<OcspReply> {
  const x509 = await loadX509();
  return { der: x509.ocspRefusalDer(kind), isCacheable: false };
}
