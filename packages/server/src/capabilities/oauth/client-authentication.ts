import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256Base64 } from '../../platform/crypto/hashing.js';
import { splitAuthorization } from '../../platform/http/authorization.js';
import { servesAt } from '../../platform/http/hosts.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import { isSubscriptionActive } from '../accounts/index.js';
import {
  CLI_ALIAS,
  type ClientCredentials,
  type IdentifyClient,
  type KnownClient,
} from '../oauth-clients/index.js';
import { invalidClient, invalidRequest, OAuthError, tenantInactive, tooManyFailures } from './errors.js';
import { headerValues, type OAuthRequest, type Params } from './request.js';

/** The client of a request, or null where it names none: it may be one that needs no name (auth.md §2.2). */
export type AuthenticateClient = (
  request: OAuthRequest,
  /** Also of a tenant that is paused or cancelled. */
  servesInactive?: boolean,
) => Promise<KnownClient | null>;

export interface ClientAuthenticationDeps {
  readonly identifyClient: IdentifyClient;
  readonly clock: Clock;
}

const WINDOW_MS = 60_000;
const NAMES_KEPT = 10_000;
/** Longer than name and secret of any client; what is longer is not even hashed. */
const CREDENTIAL_CHARACTERS_MAX = 512;

export function createClientAuthentication(deps: ClientAuthenticationDeps): AuthenticateClient {
  const { identifyClient, clock } = deps;
  const failuresOf = createCountWindows(clock, { windowMs: WINDOW_MS, namesMax: NAMES_KEPT });

  /** Who has the right secret is let in all the same: strangers cannot lock a client out. */
  function countFailure(name: string): void {
    const failures = failuresOf(name);
    failures.count++;
    if (failures.count > LIMITS.clientFailuresPerMinute)
      throw tooManyFailures({ retryAfterMs: failures.leftMs() });
  }

  return async ({ rawHeaders, params, host, ip }, servesInactive = false) => {
    const basic = basicCredentials(rawHeaders);
    const credentials = oneOf(basic, params);
    // The client behind the alias is known by the code that it brings (auth.md §2.4).
    if (credentials === null || (credentials.clientId === CLI_ALIAS && credentials.secret === null))
      return null;
    const client = isTooLong(credentials) ? undefined : await identifyClient(credentials);
    if (!client?.isActive || !servesAt(host, client.scope, client.tenant.slug)) {
      countFailure(sha256Base64(`${ip} ${credentials.clientId}`));
      throw invalidClient(basic !== null);
    }
    if (!servesInactive && !isSubscriptionActive(client.tenant.subscriptionStatus)) throw tenantInactive();
    return client;
  };
}

function isTooLong({ clientId, secret }: ClientCredentials): boolean {
  return clientId.length + (secret?.length ?? 0) > CREDENTIAL_CHARACTERS_MAX;
}

/** RFC 6749 §2.3: one way of authentication a request. */
function oneOf(basic: ClientCredentials | null, params: Params): ClientCredentials | null {
  const clientId = params.get('client_id');
  const secret = params.get('client_secret') ?? null;
  if (basic === null) {
    if (clientId === undefined && secret !== null)
      throw invalidRequest('client_secret is sent without client_id');
    return clientId === undefined ? null : { clientId, secret };
  }
  if (secret !== null) throw invalidRequest('The client authenticates in two ways');
  if (clientId !== undefined && clientId !== basic.clientId)
    throw invalidRequest('client_id is not that of the Authorization header');
  return basic;
}

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/**
 * HTTP Basic, form-encoded as RFC 6749 §2.3.1 has it or raw as many clients send it: names and secrets of ours hold
 * nothing that the encoding changes, so both read alike.
 */
function basicCredentials(rawHeaders: readonly string[]): ClientCredentials | null {
  const [value, ...others] = headerValues(rawHeaders, 'authorization');
  if (value === undefined) return null;
  if (others.some((other) => other !== value)) throw invalidRequest('There are two Authorization headers');
  const { scheme, credential } = splitAuthorization(value.trim());
  if (scheme !== 'basic') throw invalidClient(true, 'Clients authenticate by Basic or in the body');
  if (!BASE64.test(credential)) throw invalidRequest('The Authorization header is not base64');
  const text = Buffer.from(credential, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1) throw invalidRequest('The Authorization header has no colon');
  const [clientId, secret] = [decoded(text.slice(0, colon)), decoded(text.slice(colon + 1))];
  if (clientId === '') throw invalidClient(true);
  return { clientId, secret: secret === '' ? null : secret };
}

const MAY_BE_ENCODED = /[%+]/;

function decoded(text: string): string {
  if (!MAY_BE_ENCODED.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new OAuthError('invalid_request', 'The Authorization header is not form-encoded');
  }
}
