import { modeOf, type Scope } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { isObject } from '../../kernel/strict-json.js';
import { equalInConstantTime, hmacSha256 } from '../../platform/crypto/hashing.js';
import { JwkRefused, readPublicJwk, thumbprintOf } from '../../platform/crypto/jwk.js';
import type { VerifyingKey } from '../../platform/crypto/jws.js';
import type { Random } from '../../platform/crypto/random.js';
import type { EnvelopePlace, TenantKeys } from '../kms/index.js';
import type { CaRole } from '../pki/index.js';
import type { Account, AccountStore, ExternalKey } from './account-store.js';
import { ACME_KEY } from './envelope-columns.js';
import { checkUrl, readFlattened, readJson } from './jws.js';
import { AcmeProblem, malformed, notAuthorized } from './problems.js';

const EXTERNAL_KEY_BYTES = 32;

const WHAT = 'externalAccountBinding';

/** RFC 8555 §7.3.4: a key of the management API vouches for the key of an account. */
export interface ExternalKeys {
  seal(scope: Scope, id: string, key: Secret<Buffer>): Promise<Buffer>;
  /** The key that has signed the account's; one that an account has already is none. Opens an envelope, so never inside a transaction. */
  verify(
    scope: Scope,
    roleId: string,
    url: string,
    accountKey: VerifyingKey,
    binding: unknown,
  ): Promise<ExternalKey>;
}

export function createExternalKeys(deps: {
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly accounts: Pick<AccountStore, 'findKey'>;
}): ExternalKeys {
  const { tenantKeys, accounts } = deps;

  return {
    seal: (scope, id, key) => tenantKeys.seal(placeOf(scope, id), key.reveal()),

    async verify(scope, roleId, url, accountKey, binding) {
      const { header, payload, signature, signed } = readFlattened(binding, WHAT);
      if (header.alg !== 'HS256') throw algorithmRefused();
      if (typeof header.kid !== 'string')
        throw malformed(`${WHAT}: kid must be the one that the key came with`);
      if (Object.hasOwn(header, 'nonce') || Object.hasOwn(header, 'jwk'))
        throw malformed(`${WHAT}: neither nonce nor jwk has a place in its header`);
      checkUrl(header, url, WHAT);
      if (thumbprintIn(payload) !== accountKey.thumbprint)
        throw malformed(`${WHAT}: the payload must be the key of the request`);
      const key = await accounts.findKey(scope, roleId, header.kid);
      // Unknown, of another role and used: one answer.
      if (!key || key.accountId !== null) throw bindingRefused();
      const secret = await tenantKeys.open(placeOf(scope, key.id), key.keyEnvelope);
      const isGood = equalInConstantTime(hmacSha256(secret, signed), signature);
      secret.fill(0);
      if (!isGood) throw bindingRefused();
      return key;
    },
  };
}

/** None whose base64url begins with a hyphen: as a word of a command line (`certbot --eab-hmac-key …`) it would be an option. */
export function newExternalKey(random: Pick<Random, 'bytes'>): Secret<Buffer> {
  for (;;) {
    const key = random.bytes(EXTERNAL_KEY_BYTES);
    if (!key.toString('base64url').startsWith('-')) return new Secret(key);
  }
}

export function bindingRefused(): AcmeProblem {
  return notAuthorized(`${WHAT}: not signed by a key of this role that no account has yet`);
}

export function bindingRequired(): AcmeProblem {
  return new AcmeProblem(
    'externalAccountRequired',
    'An account here needs externalAccountBinding: take kid and hmac_key of a key of this role',
  );
}

/** An account from before the role asked for a key gets nothing more. */
export function requireBinding(
  { acmeRequireEab }: Pick<CaRole, 'acmeRequireEab'>,
  { externalBinding }: Pick<Account, 'externalBinding'>,
): void {
  if (!acmeRequireEab || externalBinding !== null) return;
  throw new AcmeProblem(
    'externalAccountRequired',
    'Accounts here need a key by now, and this one has none: open another, with kid and hmac_key of a key of this role',
  );
}

function algorithmRefused(): AcmeProblem {
  const members = { algorithms: ['HS256'] };
  return new AcmeProblem('badSignatureAlgorithm', `${WHAT}: alg must be HS256`, { members });
}

/** Compared by thumbprint: the order of members and spaces says nothing. */
function thumbprintIn(payload: Buffer): string | null {
  const value = readJson(payload, `${WHAT}, payload`);
  if (!isObject(value)) return null;
  try {
    return thumbprintOf(readPublicJwk(value));
  } catch (error) {
    if (error instanceof JwkRefused) return null;
    throw error;
  }
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = ACME_KEY;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
