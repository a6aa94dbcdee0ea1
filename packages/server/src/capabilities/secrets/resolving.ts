import { type Clock, isoTime } from '../../kernel/clock.js';
import type { AppError } from '../../kernel/errors.js';
import { isUuid, type Scope } from '../../kernel/ids.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import { Secret } from '../../kernel/secret.js';
import type { Logger } from '../../platform/log/logger.js';
import { bundleOf } from './certificates/bundle.js';
import {
  certificateInText,
  certificateNotFound,
  hostNotBound,
  noPrivateKey,
  notACertificate,
  notASigningSecret,
  placeholderNotFound,
  plainHost,
  secretExpired,
  unboundSecret,
} from './errors.js';
import { coversHost } from './hosts.js';
import type { SecretsInUse } from './in-use.js';
import type {
  CertificateWithKey,
  OAuth2Values,
  ResolvedSecret,
  SecretReference,
  SecretUse,
  StoredSecret,
} from './types.js';
import type { SecretInUse, StoredValue } from './value-store.js';
import type { SecretValues } from './values.js';

export interface SecretResolving {
  /**
   * What stands for a placeholder. 400 `secret_not_found`, `secret_expired` where the expiry is strict, `validation_error` of a
   * certificate; 403 `egress_blocked` where the host is not bound, or is but over `http:`. May call a KMS or a token endpoint: never in a transaction.
   * At once what is known, open and in order.
   */
  resolve(scope: Scope, reference: SecretReference, use: SecretUse): Promisable<ResolvedSecret>;
  /** The same refusals in the same order; nothing is opened or refreshed. */
  check(scope: Scope, reference: SecretReference, use: SecretUse): Promise<Omit<ResolvedSecret, 'value'>>;
  /** For upstream mTLS; null: the base environment. */
  certificateOf(scope: Scope, secretId: string, environment: string | null): Promise<CertificateWithKey>;
  /** What requests are signed with: it is sent nowhere, so that `allowed_hosts` says nothing of it. */
  signingSecretOf(
    scope: Scope,
    secretId: string,
    environment: string | null,
  ): Promise<Pick<ResolvedSecret, 'value' | 'isExpired'>>;
}

export interface SecretResolvingDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  readonly inUse: SecretsInUse;
  readonly values: SecretValues;
  readonly oauth2: OAuth2Values;
}

/** An expired secret in use is warned of so often, by each process. */
const WARNED_EVERY_MS = 3_600_000;
const WARNED_MAX = 1_000;

export function createSecretResolving(deps: SecretResolvingDeps): SecretResolving {
  const { clock, logger, inUse, values, oauth2 } = deps;
  const warnedAtMs = new Map<string, number>();

  async function find(
    scope: Scope,
    reference: SecretReference,
    environment: string | null,
    missing: (reference: SecretReference) => Error = placeholderNotFound,
  ): Promise<SecretInUse> {
    const isPossible = reference.by === 'name' || isUuid(reference.text);
    const known = isPossible ? inUse.find(scope, reference, environment) : undefined;
    const found = isPending(known) ? await known : known;
    if (!found) throw missing(reference);
    return found;
  }

  /** Null where it has not. */
  function expiredAtMs({ secret, value }: SecretInUse): number | null {
    const expiresAtMs = value?.expiresAtOverrideMs ?? secret.expiresAtMs;
    return expiresAtMs === null || clock.nowMs() < expiresAtMs ? null : expiresAtMs;
  }

  /** Whether it has expired, which a strict expiry refuses. */
  function judgeExpiry(found: SecretInUse): boolean {
    const atMs = expiredAtMs(found);
    if (atMs === null) return false;
    const { secret } = found;
    if (secret.isExpiryStrict) throw secretExpired(secret.name, isoTime(atMs));
    return true;
  }

  async function judged(scope: Scope, reference: SecretReference, use: SecretUse) {
    const found = await find(scope, reference, use.environment);
    if (found.secret.type === 'certificate') throw certificateInText(found.secret.name);
    requireHost(found.secret, use);
    return { found, isExpired: judgeExpiry(found) };
  }

  function warn({ id, scope }: StoredSecret): void {
    const nowMs = clock.nowMs();
    const lastMs = warnedAtMs.get(id);
    if (lastMs !== undefined && nowMs - lastMs < WARNED_EVERY_MS) return;
    const oldest = warnedAtMs.keys().next();
    if (warnedAtMs.size >= WARNED_MAX && !oldest.done) warnedAtMs.delete(oldest.value);
    warnedAtMs.delete(id);
    warnedAtMs.set(id, nowMs);
    logger.warn({ tenant_id: scope.tenantId, secret_id: id }, 'an expired secret is in use');
  }

  /** What is known may have been sealed anew meanwhile, under a key that is all there is by now. */
  async function openValue(
    { id, scope }: StoredSecret,
    value: StoredValue,
    environment: string | null,
  ): Promise<Secret<string>> {
    try {
      return await values.open(scope, value);
    } catch (error) {
      const anew = await inUse.findAnew(scope, { by: 'id', text: id }, environment);
      if (!anew?.value || anew.value.envelope.equals(value.envelope)) throw error;
      return values.open(scope, anew.value);
    }
  }

  /** What most calls ask for; null where there is anything to wait for, to refuse or to warn of. */
  function resolveAtOnce(scope: Scope, reference: SecretReference, use: SecretUse): ResolvedSecret | null {
    const found = inUse.known(scope, reference, use.environment);
    if (found === undefined) return null;
    const { secret, value } = found;
    if (secret.type !== 'string' || value === null || hostFault(secret, use) !== null) return null;
    if (expiredAtMs(found) !== null) return null;
    const text = values.opened(scope, value);
    return text === undefined
      ? null
      : { secretId: secret.id, name: secret.name, value: text, isExpired: false };
  }

  async function resolveInTurn(
    scope: Scope,
    reference: SecretReference,
    use: SecretUse,
  ): Promise<ResolvedSecret> {
    const { found, isExpired } = await judged(scope, reference, use);
    const value = await open(found, use.environment);
    if (isExpired) warn(found.secret);
    return { secretId: found.secret.id, name: found.secret.name, value, isExpired };
  }

  function open({ secret, value }: SecretInUse, environment: string | null): Promise<Secret<string>> {
    if (secret.type === 'oauth2')
      return oauth2.render(secret.scope, secret, environment ?? secret.baseEnvironment);
    // Its base environment always has one.
    if (value === null) throw placeholderNotFound({ by: 'id', text: secret.id });
    return openValue(secret, value, environment);
  }

  return {
    resolve: (scope, reference, use) =>
      resolveAtOnce(scope, reference, use) ?? resolveInTurn(scope, reference, use),

    async check(scope, reference, use) {
      const { found, isExpired } = await judged(scope, reference, use);
      return { secretId: found.secret.id, name: found.secret.name, isExpired };
    },

    async certificateOf(scope, secretId, environment) {
      const reference = { by: 'id', text: secretId } as const;
      const found = await find(scope, reference, environment, certificateNotFound);
      const { secret, value } = found;
      if (secret.type !== 'certificate') throw notACertificate(secret.name);
      if (!value?.certificate?.leaf || !value.certificate.hasPrivateKey) throw noPrivateKey(secret.name);
      const isExpired = judgeExpiry(found);
      const text = await openValue(secret, value, environment);
      if (isExpired) warn(secret);
      return { id: value.id, version: value.version, isExpired, ...certificateWithKey(text) };
    },

    async signingSecretOf(scope, secretId, environment) {
      const found = await find(scope, { by: 'id', text: secretId }, environment);
      if (found.secret.type !== 'string') throw notASigningSecret(found.secret.name);
      const isExpired = judgeExpiry(found);
      const value = await open(found, environment);
      if (isExpired) warn(found.secret);
      return { value, isExpired };
    },
  };
}

function requireHost(secret: StoredSecret, use: SecretUse): void {
  const fault = hostFault(secret, use);
  if (fault !== null) throw fault;
}

/** Who chose the host decides what an unbound secret may do (dataplane.md §1.1, §3). Only TLS proves that it is the host. */
function hostFault({ name, allowedHosts }: StoredSecret, { via, host, isPlain }: SecretUse): AppError | null {
  if (allowedHosts === null) return via === 'ephemeral' ? unboundSecret(name) : null;
  if (!coversHost(allowedHosts, host)) return hostNotBound(name, host);
  return isPlain ? plainHost(name, host) : null;
}

type KeyPair = Pick<CertificateWithKey, 'key' | 'certificatePem'>;

/** Parsed once for as long as the value is open. */
const parsed = new WeakMap<Secret<string>, KeyPair>();

function certificateWithKey(text: Secret<string>): KeyPair {
  const known = parsed.get(text);
  if (known) return known;
  const { certificates, key } = bundleOf(text);
  const pair = { key: new Secret(key!), certificatePem: certificates };
  parsed.set(text, pair);
  return pair;
}
