import { isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { certificateFingerprints } from '../../../platform/crypto/certificates.js';
import { createTrust, trustedAuthorities } from '../../../platform/egress/trust.js';
import type { EngineTarget, SslMode } from './engine.js';

export type TlsDemand = Pick<EngineTarget, 'host' | 'sslMode' | 'sslCa' | 'extraCa'>;

/** What libpq's `sslmode` comes to, for every engine (dyn-db.md §2.2). */
export interface TlsPlan {
  /** False = no TLS at all. */
  readonly usesTls: boolean;
  /**
   * `prefer`: in clear where the server offers no TLS or the handshake fails. Nothing is verified then, and nothing
   * would be gained by it: whoever can break the handshake gets the plain log-in anyway.
   */
  readonly fallsBack: boolean;
  readonly verifiesChain: boolean;
  readonly verifiesName: boolean;
  /** A password may be sent as it is only where the server is known to be the one that was meant (§5.1). */
  readonly mayTellPassword: boolean;
  /** For a driver that makes the context by itself; none where no chain is verified. */
  readonly authorities: string[] | null;
  /** For `tls.connect`, beside `socket`. */
  readonly options: ConnectionOptions;
}

const MIN_VERSION = 'TLSv1.2';

export function tlsPlan(demand: TlsDemand): TlsPlan {
  const { host, sslMode, sslCa } = demand;
  const strength = strengthOf(sslMode, sslCa);
  const verifiesChain = strength >= STRENGTH['verify-ca'];
  const verifiesName = strength >= STRENGTH['verify-full'];
  const name = host.replace(/^\[(.*)\]$/, '$1');
  return {
    usesTls: sslMode !== 'disable',
    fallsBack: sslMode === 'prefer',
    verifiesChain,
    verifiesName,
    mayTellPassword: verifiesName,
    authorities: verifiesChain
      ? sslCa === null
        ? trustedAuthorities(demand.extraCa ?? null)
        : [sslCa]
      : null,
    options: {
      secureContext: verifiesChain ? verifyingContext(sslCa, demand.extraCa ?? null) : unverifiedContext(),
      minVersion: MIN_VERSION,
      // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED has no say.
      rejectUnauthorized: verifiesChain,
      // The name that was written, whatever a driver takes for the host.
      checkServerIdentity: verifiesName
        ? (_, certificate) => checkServerIdentity(name, certificate)
        : () => undefined,
      // RFC 6066 §3: an address is no server name.
      ...(isIP(name) === 0 ? { servername: name } : {}),
    },
  };
}

/** For a driver that cannot be told all of the plan; the caller waits for `secureConnect` or `error`. */
export function startTls(socket: Socket, { options }: TlsPlan): TLSSocket {
  return connect({ ...options, socket });
}

/** Whether a credential would be protected less, or by whom another authority vouches for (contract README §10). */
export function isWeakerTls(before: TlsProtection, after: TlsProtection): boolean {
  return (
    strengthOf(after.sslMode, after.sslCa) < strengthOf(before.sslMode, before.sslCa) ||
    !sameAuthorities(before.sslCa, after.sslCa)
  );
}

export type TlsProtection = Pick<EngineTarget, 'sslMode' | 'sslCa'>;

/** Which rule the text of `ssl_ca` breaks; null = none. */
export function sslCaProblem(pem: string): string | null {
  return certificateFingerprints(pem) === null ? 'must hold certificates in PEM and nothing else' : null;
}

const STRENGTH: Record<SslMode, number> = {
  disable: 0,
  prefer: 1,
  require: 2,
  'verify-ca': 3,
  'verify-full': 4,
};

/** As in libpq, `require` verifies the chain where it is told by which authority. */
function strengthOf(sslMode: SslMode, sslCa: string | null): number {
  return STRENGTH[sslMode === 'require' && sslCa !== null ? 'verify-ca' : sslMode];
}

function sameAuthorities(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  const key = (pem: string) => [...new Set(certificateFingerprints(pem) ?? [pem])].sort().join();
  return key(a) === key(b);
}

function verifyingContext(sslCa: string | null, extraCa: string | null): SecureContext {
  return sslCa === null ? systemTrust(extraCa) : createSecureContext({ ca: sslCa, minVersion: MIN_VERSION });
}

/** Kept: parsing all authorities of the system takes tens of milliseconds of the main thread. */
const kept: { system: { extraCa: string | null; trust: SecureContext } | null; none: SecureContext | null } =
  {
    system: null,
    none: null,
  };

function systemTrust(extraCa: string | null): SecureContext {
  if (kept.system?.extraCa !== extraCa) kept.system = { extraCa, trust: createTrust(extraCa) };
  return kept.system!.trust;
}

function unverifiedContext(): SecureContext {
  kept.none ??= createSecureContext({ minVersion: MIN_VERSION });
  return kept.none;
}
