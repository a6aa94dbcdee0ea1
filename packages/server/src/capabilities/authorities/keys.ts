import type { Clock } from '../../kernel/clock.js';
import { modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Promisable } from '../../kernel/promisable.js';
import { authoritySigner, signAsAuthority } from '../../platform/crypto/certificate-signature.js';
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
  /** For what anybody may ask: signs aside of the event loop where that takes long. 503 `tenant_sealed`. May call a KMS. */
  signer(
    scope: Scope,
    authority: Pick<Authority, 'id' | 'keyEnvelope'>,
  ): Promisable<(message: Buffer) => Promisable<Buffer>>;
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

  function lend<T>(
    scope: Scope,
    { id, keyEnvelope }: Pick<Authority, 'id' | 'keyEnvelope'>,
    act: (key: Buffer) => T,
  ): Promisable<T> {
    const place = placeOf(scope, id);
    const open = () => tenantKeys.open(place, keyEnvelope);
    return keyring.use(`${place.tenantId}:${place.mode}:${id}`, open, act);
  }

  return {
    seal: (scope, authorityId, key) => tenantKeys.seal(placeOf(scope, authorityId), key),
    use: (scope, authority, act) =>
      lend(scope, authority, (key) => act((message) => signAsAuthority(key, message))),
    signer: (scope, authority) => lend(scope, authority, authoritySigner),
    close: () => keyring.clear(),
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { boundAs: table, column } = AUTHORITY_KEY;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
