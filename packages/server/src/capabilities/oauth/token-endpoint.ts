import type { Clock } from '../../kernel/clock.js';
import { type Dpop, DpopError, type VerifiedProof } from '../dpop/index.js';
import { CLI_ALIAS, type KnownClient } from '../oauth-clients/index.js';
import type { AuthenticateClient } from './client-authentication.js';
import { invalidClient, OAuthError, proofRequired } from './errors.js';
import type { Grant, TokenAnswer, TokenCall } from './grants/grant.js';
import {
  headerValues,
  type OAuthAnswer,
  type OAuthRequest,
  type Params,
  printable,
  required,
} from './request.js';

export interface TokenEndpointDeps {
  readonly authenticateClient: AuthenticateClient;
  readonly grants: readonly Grant[];
  readonly dpop: Pick<Dpop, 'verify' | 'nonce'>;
  readonly clock: Clock;
}

export interface TokenEndpoint {
  readonly grantTypes: readonly string[];
  /** The members of RFC 6749 §5.1. */
  answer(request: OAuthRequest, surface: TokenCall['surface']): Promise<OAuthAnswer>;
}

/**
 * `POST /oauth/token`. Body and duplicate parameters are judged before it is called; then client, grant type and proof
 * here, and the grant with its scope in the grant itself (auth.md §2.2).
 */
export function createTokenEndpoint(deps: TokenEndpointDeps): TokenEndpoint {
  const { authenticateClient, dpop, clock } = deps;
  const grants = new Map(deps.grants.map((grant) => [grant.type, grant]));

  function grantOf(request: OAuthRequest): Grant {
    const type = required(request.params, 'grant_type');
    const grant = grants.get(type);
    if (!grant) {
      const text = `The grant type ${printable(type)} is not supported`;
      throw new OAuthError('unsupported_grant_type', text);
    }
    return grant;
  }

  async function proofOf(request: OAuthRequest, client: KnownClient | null): Promise<VerifiedProof | null> {
    const proofs = headerValues(request.rawHeaders, 'dpop');
    if (proofs.length === 0) {
      // The SDK makes a key and tries again on exactly this code (auth.md §3).
      if (client?.requireDpop) throw proofRequired();
      return null;
    }
    const { method, origin, path } = request;
    const isNonceRequired = client?.requireDpopNonce ?? false;
    return dpop.verify({ proofs, method, url: origin + path, isNonceRequired });
  }

  return {
    grantTypes: [...grants.keys()],

    async answer(request, surface) {
      const client = await authenticateClient(request);
      const grant = grantOf(request);
      allowGrant(request, client, grant);
      const nowMs = clock.nowMs();
      try {
        const proof = await proofOf(request, client);
        const body = wireOf(await grant.run(callOf(request, { surface, client, proof, nowMs })));
        // RFC 9449 §8.2: the next one, before the present one is too old.
        return proof?.nextNonce === undefined
          ? { body }
          : { body, headers: { 'dpop-nonce': proof.nextNonce } };
      } catch (error) {
        throw error instanceof DpopError ? proofRefused(error) : error;
      }
    },
  };
}

/** Written out, as is what is answered: an object that is spread costs as much as a check. */
function callOf(
  { params, host, origin, requestId, ip }: OAuthRequest,
  { surface, client, proof, nowMs }: Pick<TokenCall, 'surface' | 'client' | 'proof' | 'nowMs'>,
): TokenCall {
  return { params, client, proof, host, origin, surface, requestId, ip, nowMs };
}

function allowGrant({ params }: OAuthRequest, client: KnownClient | null, grant: Grant): void {
  if (grant.client === 'none') return;
  if (grant.client === 'required_or_alias' && params.get('client_id') === CLI_ALIAS) return;
  if (client === null) throw invalidClient(false, unnamedText(params));
  if (!client.grantTypes.includes(grant.type))
    throw new OAuthError('unauthorized_client', 'The client may not use this grant type');
}

/** Who logged in by the alias goes on by the client that it was told of (auth.md §2.4). */
function unnamedText(params: Params): string {
  if (params.get('client_id') !== CLI_ALIAS) return 'The client does not say who it is';
  return `${CLI_ALIAS} only logs in; from then on client_id is the one that came with the tokens`;
}

function proofRefused({ code, reason, nonce }: DpopError): OAuthError {
  return new OAuthError(code, reason, { headers: nonce === null ? {} : { 'dpop-nonce': nonce } });
}

/** What is undefined is left out. */
function wireOf(answer: TokenAnswer): Record<string, unknown> {
  return {
    access_token: answer.accessToken.reveal(),
    token_type: answer.tokenType,
    expires_in: answer.expiresInSeconds,
    scope: answer.scope,
    refresh_token: answer.refreshToken?.reveal(),
    issued_token_type: answer.issuedTokenType,
    tenant: answer.tenantSlug,
    client_id: answer.clientId,
  };
}
