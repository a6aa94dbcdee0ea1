import { AppError, isAppError, validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Logger } from '../../../platform/log/logger.js';
import { IssuerUnavailable, OtherIssuer } from './errors.js';
import { type Asker, createIssuerDocuments, type IssuerDocumentsDeps } from './issuer-documents.js';
import { type IssuerKey, pickKey, type WantedKey } from './key-set.js';
import { createKnownIssuers, type KnownIssuer } from './known-issuers.js';

export interface IssuerKeys {
  /**
   * The key that an assertion names; null where the issuer has no such key. Throws `IssuerUnavailable` where none of its
   * keys is known.
   */
  keyOf(asker: Asker, issuer: string, wanted: WantedKey): Promise<IssuerKey | null>;
  /**
   * Before a binding is written: name and port, and what the issuer says of itself where it answers. One that does not
   * answer now may later.
   */
  checkIssuer(asker: Asker, issuer: string): Promise<void>;
}

export interface IssuerKeysDeps extends IssuerDocumentsDeps {
  readonly logger: Pick<Logger, 'warn'>;
}

/** While nothing is held every exchange fails, so the issuer is asked again sooner. */
const RETRY_MS = 5_000;

/** Key sets by tenant and issuer: kept for 10 minutes, and beyond that as long as the issuer gives no other (auth.md §4). */
export function createIssuerKeys(deps: IssuerKeysDeps): IssuerKeys {
  const { clock, logger } = deps;
  const documents = createIssuerDocuments(deps);
  const issuers = createKnownIssuers(() => clock.monotonicMs() - RETRY_MS);

  async function fetchInto(known: KnownIssuer, asker: Asker, issuer: string): Promise<void> {
    try {
      known.held = await documents.keySet(asker, issuer);
      known.fetchedAtMs = clock.monotonicMs();
      issuers.trim();
    } catch (error) {
      known.failure = reasonOf(error);
      logger.warn({ err: error, issuer, tenant: asker.tenantSlug }, 'keys of an OIDC issuer not read');
    } finally {
      known.fetching = null;
    }
  }

  /** One fetch at a time, and at most one in 30 s; who comes meanwhile waits for it. */
  async function refresh(known: KnownIssuer, asker: Asker, issuer: string): Promise<void> {
    const pauseMs = known.held ? LIMITS.jwksRefetchMs : RETRY_MS;
    if (!known.fetching && clock.monotonicMs() - known.askedAtMs >= pauseMs) {
      known.askedAtMs = clock.monotonicMs();
      known.fetching = fetchInto(known, asker, issuer);
    }
    await known.fetching;
  }

  return {
    async keyOf(asker, issuer, wanted) {
      const known = issuers.of(asker, issuer);
      const isFresh = known.held !== null && clock.monotonicMs() - known.fetchedAtMs < LIMITS.jwksCacheMs;
      if (!isFresh) await refresh(known, asker, issuer);
      if (!known.held) throw new IssuerUnavailable(known.failure, RETRY_MS / 1_000);
      const key = pickKey(known.held.keys, wanted);
      if (key) return key;
      await refresh(known, asker, issuer);
      return pickKey(known.held.keys, wanted);
    },

    async checkIssuer(asker, issuer) {
      try {
        await documents.assertAskable(asker, issuer);
        await documents.keysUrl(asker, issuer);
      } catch (error) {
        if (error instanceof OtherIssuer)
          throw validationError('issuer', 'the discovery document that is found there names another issuer');
        if (isAppError(error, 'invalid_proxy_url')) throw validationError('issuer', error.publicMessage);
        if (isAppError(error, 'ssrf_blocked')) throw error;
      }
    },
  };
}

function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.publicMessage;
  return error instanceof OtherIssuer ? error.message : 'The issuer did not answer in time';
}
