import type { Clock } from '../../kernel/clock.js';
import { modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Promisable } from '../../kernel/promisable.js';
import { signAsAuthority } from '../../platform/crypto/certificate-signature.js';
import { createKeyring } from '../../platform/crypto/keyring.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import type { Sign } from '../x509/index.js';
import type { Authority } from './authorities.js';
import { AUTHORITY_KEY } from './envelope-columns.js';

/** The keys of authorities, opened only to sign. */
export interface AuthorityKeys {
  seal(scope: Scope, authorityId: string, key: Buffer): Promise<Buffer>;
  /** Lends what signs with the authority's key for one synchronous call; 503 `tenant_sealed`. May call a KMS. */
  use<T>(
    scope: Scope,
    authority: Pick<Authority, 'id' | 'keyEnvelope'>,
    act: (sign: Sign) => T,
  ): Promisable<T>;
  /** Zeroes every opened key. */
  close(): void;
}

export interface AuthorityKeysDeps {
  readonly clock: Clock;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open' | 'onForget'>;
}

const OPENED_KEYS_MAX = 1_000;

export function createAuthorityKeys({ clock, tenantKeys }: AuthorityKeysDeps): AuthorityKeys {
  const keyring = createKeyring({ clock, ttlMs: LIMITS.tenantKeyCacheMs, keysMax: OPENED_KEYS_MAX });
  tenantKeys.onForget((tenantId) => keyring.forget(`${tenantId}:`));
  return {
    seal: (scope, authorityId, key) => tenantKeys.seal(placeOf(scope, authorityId), key),
    use(scope, { id, keyEnvelope }, act) {
      const place = placeOf(scope, id);
      const open = () => tenantKeys.open(place, keyEnvelope);
      return keyring.use(`${place.tenantId}:${place.mode}:${id}`, open, (key) =>
        act((message) => signAsAuthority(key, message)),
      );
    },
    close: () => keyring.clear(),
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { boundAs: table, column } = AUTHORITY_KEY;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
