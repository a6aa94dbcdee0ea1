import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { createLru } from '../cache/lru.js';
import type { ClientCertificate } from './egress.js';
import { unusableCertificate } from './errors.js';
import { trustedAuthorities } from './trust.js';

/** What connections show of us and whom they trust, by certificate. */
export interface ClientCertificates {
  /** `upstream_tls_error` where certificate and key are none that TLS can use. */
  contextOf(certificate: ClientCertificate): Promise<SecureContext>;
}

interface Kept {
  readonly context: SecureContext;
  readonly madeAtMs: number;
}

const CONTEXTS_MAX = 100;

/** Made once, as parsing the roots takes milliseconds; a key is held no longer than any that a tenant may withdraw. */
export function createClientCertificates(clock: Clock, extraCaPem: string | null): ClientCertificates {
  const contexts = createLru<string, Kept>({ entriesMax: CONTEXTS_MAX });
  const isFresh = ({ madeAtMs }: Kept) => clock.monotonicMs() - madeAtMs < LIMITS.customerKeyCacheMs;

  async function make(certificate: ClientCertificate): Promise<Kept> {
    const { key, certificatePem } = await certificate.load();
    try {
      const context = createSecureContext({
        ca: trustedAuthorities(extraCaPem),
        minVersion: 'TLSv1.2',
        key: key.reveal(),
        cert: certificatePem,
      });
      return { context, madeAtMs: clock.monotonicMs() };
    } catch (cause) {
      throw unusableCertificate(cause);
    }
  }

  return {
    async contextOf(certificate) {
      const place = placeOf(certificate);
      const known = contexts.get(place);
      if (known && isFresh(known)) return known.context;
      contexts.delete(place);
      return (await contexts.load(place, () => make(certificate))).context;
    },
  };
}

/** A version that was replaced is another certificate: no connection made with the one serves the other. */
export function placeOf({ id, version }: ClientCertificate): string {
  return `${id} ${version}`;
}
