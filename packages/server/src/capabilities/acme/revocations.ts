import type { Clock } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { decodeBase64Url } from '../../platform/crypto/jwk.js';
import { namesOfCertificate } from '../../platform/crypto/key-thumbprints.js';
import type { Authorities, IssuedCertificate } from '../authorities/index.js';
import type { PkiIssuing } from '../pki/index.js';
import { CRL_REASONS, type CrlReason } from '../x509/index.js';
import type { Account } from './account-store.js';
import type { OrderStore } from './order-store.js';
import { AcmeProblem, malformed, notAuthorized, notThere } from './problems.js';
import { type AcmeCall, actorIn, payloadOf, type SignedRequest } from './signed-requests.js';

/** RFC 8555 §7.6: by who has ordered it, by who holds all its names, or by its own key. */
export interface AcmeRevocations {
  revoke(call: AcmeCall, request: SignedRequest & { readonly account: Account | null }): Promise<void>;
}

export interface AcmeRevocationsDeps {
  readonly clock: Clock;
  readonly orders: Pick<OrderStore, 'namesHeld'>;
  readonly authorities: Pick<Authorities, 'findCertificate'>;
  readonly pki: Pick<PkiIssuing, 'revokeForAcme'>;
}

/** RFC 5280 §5.3.1; the others are none that the holder of a certificate gives. */
const REASONS_TAKEN: readonly CrlReason[] = [
  'unspecified',
  'key_compromise',
  'affiliation_changed',
  'superseded',
  'cessation_of_operation',
  'privilege_withdrawn',
];

export function createAcmeRevocations(deps: AcmeRevocationsDeps): AcmeRevocations {
  const { clock, orders, authorities, pki } = deps;

  async function mayRevoke(
    scope: Scope,
    account: Account,
    { acmeAccountId, dns, ips }: IssuedCertificate,
  ): Promise<boolean> {
    if (acmeAccountId === account.id) return true;
    if (dns.length === 0 || ips.length > 0) return false;
    const held = new Set(await orders.namesHeld(scope, account.id, dns, clock.nowMs()));
    return dns.every((name) => held.has(name));
  }

  return {
    async revoke(call, request) {
      const { target } = call;
      const { scope, root, role } = target;
      const payload = payloadOf(request);
      const der = typeof payload.certificate === 'string' ? decodeBase64Url(payload.certificate) : null;
      const names = der && namesOfCertificate(der);
      if (!names) throw malformed('certificate must be the DER of one in base64url without padding');
      const reason = reasonOf(payload.reason);
      const certificate = await authorities.findCertificate(scope, root.id, names.serial);
      // Of this directory alone, and the very bytes: a serial may stand in a certificate of anybody's making.
      if (!certificate || certificate.role?.id !== role.id || !certificate.der.equals(der))
        throw notThere('Certificate');
      const isAllowed = request.account
        ? await mayRevoke(scope, request.account, certificate)
        : names.keyThumbprint === request.key.thumbprint;
      if (!isAllowed)
        throw notAuthorized(
          'The certificate is neither of this account or its names, nor is the key its own',
        );
      const outcome = await pki.revokeForAcme(actorIn(call), target, certificate.serial, reason);
      if (outcome === 'unknown') throw notThere('Certificate');
      if (outcome === 'already')
        throw new AcmeProblem('alreadyRevoked', 'The certificate was revoked before');
    },
  };
}

function reasonOf(code: unknown): CrlReason {
  if (code === undefined) return 'unspecified';
  const reason = REASONS_TAKEN.find((one) => CRL_REASONS[one] === code);
  if (reason) return reason;
  const codes = REASONS_TAKEN.map((one) => CRL_REASONS[one]).join(', ');
  throw new AcmeProblem('badRevocationReason', `reason must be one of ${codes}`);
}
