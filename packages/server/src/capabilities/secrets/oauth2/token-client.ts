import type { Clock } from '../../../kernel/clock.js';
import { isAppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Egress } from '../../../platform/egress/egress.js';
import { createSmallCalls } from '../../../platform/egress/small-calls.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import type { ClientAuth } from './tables.js';
import { readTokenAnswer } from './token-answer.js';
import { TokenRefused, type TokenSet } from './token-set.js';

export interface TokenRequest {
  readonly scope: Scope;
  readonly tenantSlug: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret<string> | null;
  /** Null: not known yet. */
  readonly clientAuth: ClientAuth | null;
  /** Of the grant; null ones are left out. */
  readonly params: Readonly<Record<string, string | null>>;
}

export interface TokenGrant {
  readonly tokens: TokenSet;
  /** That which was understood. */
  readonly clientAuth: ClientAuth | null;
}

/** Asks token endpoints (RFC 6749 §3.2), through the egress guard with the rules of the tenant. */
export interface TokenClient {
  /** One request, or two where it is not known how the client says who it is. Throws `TokenRefused` alone. */
  ask(request: TokenRequest): Promise<TokenGrant>;
}

export interface TokenClientDeps {
  readonly clock: Clock;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
}

export function createTokenClient({ clock, egress, egressAllowlist }: TokenClientDeps): TokenClient {
  const call = createSmallCalls({
    clock,
    egress,
    timeoutMs: LIMITS.oauth2CallMs,
    answerBytesMax: LIMITS.oauth2AnswerBytesMax,
  });

  async function askAs(request: TokenRequest, clientAuth: ClientAuth | null): Promise<TokenGrant> {
    const { scope, tenantSlug, tokenUrl } = request;
    const allowedHosts = await egressAllowlist.hostsFor(scope);
    const answer = await call(
      { method: 'POST', url: tokenUrl, ...messageOf(request, clientAuth) },
      { tenantSlug, allowedHosts },
    );
    return { tokens: readTokenAnswer(answer, clock.nowMs()), clientAuth };
  }

  /** A client that is not known by one way has used nothing up: the grant is looked at after the client. */
  async function askEitherWay(request: TokenRequest): Promise<TokenGrant> {
    try {
      return await askAs(request, 'basic');
    } catch (error) {
      const isUnknown = error instanceof TokenRefused && CLIENT_NOT_UNDERSTOOD.has(error.code);
      if (!isUnknown) throw error;
      return askAs(request, 'post');
    }
  }

  return {
    async ask(request) {
      try {
        if (request.clientSecret === null) return await askAs(request, null);
        return await (request.clientAuth === null
          ? askEitherWay(request)
          : askAs(request, request.clientAuth));
      } catch (error) {
        throw asRefusal(error);
      }
    },
  };
}

const CLIENT_NOT_UNDERSTOOD = new Set(['invalid_client', 'invalid_request', 'http_401']);

function messageOf({ clientId, clientSecret, params }: TokenRequest, clientAuth: ClientAuth | null) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== null) form.set(name, value);
  const headers: Record<string, string> = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': 'knoxcall',
  };
  if (clientAuth === 'basic' && clientSecret) {
    // RFC 6749 §2.3.1: both are form-encoded first.
    const pair = [clientId, clientSecret.reveal()].map(formEncoded).join(':');
    headers['authorization'] = `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
  } else {
    form.set('client_id', clientId);
    if (clientSecret) form.set('client_secret', clientSecret.reveal());
  }
  return { headers, body: form.toString() };
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

/** The guard's own refusals and what went wrong on the way, by their type: no text of an answer is kept. */
function asRefusal(error: unknown): TokenRefused {
  if (error instanceof TokenRefused) return error;
  const code = isAppError(error) ? error.type : 'unreadable_answer';
  return new TokenRefused('transient', code, error);
}
