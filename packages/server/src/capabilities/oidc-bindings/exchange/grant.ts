import { type Grant, OAuthError, required, type TokenAnswer, type TokenCall } from '../../oauth/index.js';
import { GATEWAY_AUDIENCE, MANAGEMENT_AUDIENCE } from '../service.js';
import { type AssertionExchangeDeps, createAssertionExchange } from './assertion-exchange.js';
import { createOwnTokenExchange, type OwnTokenExchangeDeps } from './own-token-exchange.js';

const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:';
const ACCESS_TOKEN = `${TOKEN_TYPE}access_token`;
/** An identity token is a JWT, and some platforms call theirs no more than that. */
const ASSERTIONS: ReadonlySet<string> = new Set([`${TOKEN_TYPE}id_token`, `${TOKEN_TYPE}jwt`]);
/** What the AI plane of the contract says while it is away; the SDK waits no longer (auth.md §2.8). */
const GATEWAY_RETRY_SECONDS = '30';

/** RFC 8693: what is presented is the credential, so no client is asked for. */
export function tokenExchangeGrant(deps: AssertionExchangeDeps & OwnTokenExchangeDeps): Grant {
  const ofAssertion = createAssertionExchange(deps);
  const ofOwnToken = createOwnTokenExchange(deps);

  return {
    type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client: 'none',
    async run(call): Promise<TokenAnswer> {
      const subjectToken = required(call.params, 'subject_token');
      const exchange = exchangeOf(required(call.params, 'subject_token_type'));
      refuseActor(call);
      requireRequestedType(call);
      requireAudience(call);
      requireResource(call);
      if (call.surface === 'gateway') throw gatewayUnavailable();
      return { ...(await exchange(call, subjectToken)), issuedTokenType: ACCESS_TOKEN };
    },
  };

  function exchangeOf(subjectTokenType: string) {
    if (ASSERTIONS.has(subjectTokenType)) return ofAssertion;
    if (subjectTokenType === ACCESS_TOKEN) return ofOwnToken;
    throw new OAuthError(
      'invalid_request',
      `subject_token_type must be ${TOKEN_TYPE}id_token or ${ACCESS_TOKEN}`,
    );
  }
}

/** RFC 8693 §4.1: who acts for whom is nothing that tokens of this server tell. */
function refuseActor({ params }: TokenCall): void {
  if (params.has('actor_token') || params.has('actor_token_type'))
    throw new OAuthError('invalid_request', 'actor_token is not supported');
}

function requireRequestedType({ params }: TokenCall): void {
  const requested = params.get('requested_token_type');
  if (requested !== undefined && requested !== ACCESS_TOKEN)
    throw new OAuthError('invalid_request', `requested_token_type must be ${ACCESS_TOKEN}`);
}

/** The audience picks the product, and each has its own endpoint (auth.md §2.8). */
function requireAudience({ params, surface }: TokenCall): void {
  const served = surface === 'gateway' ? GATEWAY_AUDIENCE : MANAGEMENT_AUDIENCE;
  const asked = params.get('audience') ?? (surface === 'gateway' ? undefined : served);
  if (asked !== served) throw new OAuthError('invalid_target', `audience must be ${served} at this endpoint`);
}

/** RFC 8707 §2: an absolute URI without fragment; an empty one is not taken for none (auth.md §2.8). */
function requireResource({ params, surface }: TokenCall): void {
  const resource = params.get('resource');
  if (resource === undefined) return;
  if (!URL.canParse(resource) || resource.includes('#'))
    throw new OAuthError('invalid_target', 'resource must be an absolute URI without a fragment');
  if (surface === 'management')
    throw new OAuthError('invalid_target', `resource is for the audience ${GATEWAY_AUDIENCE}`);
}

function gatewayUnavailable(): OAuthError {
  return new OAuthError('ai_gateway_unavailable', 'The AI gateway is not available in this version', {
    headers: { 'retry-after': GATEWAY_RETRY_SECONDS },
  });
}
