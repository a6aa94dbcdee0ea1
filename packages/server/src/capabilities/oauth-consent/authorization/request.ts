import type { ResolvedHost } from '../../../platform/http/hosts.js';
import { grantedScopes, OAuthError, type Params, printable } from '../../oauth/index.js';
import { permissionsOfClient } from '../../oauth-clients/index.js';
import type { AskingClient, AskingClients } from '../asking-client.js';
import { PageError, RedirectError } from '../errors.js';
import { isRegistered } from './redirect-uri.js';

/** What a client asks of a user (auth.md §2.4). */
export interface AuthorizationRequest {
  readonly client: AskingClient;
  readonly redirectUri: string;
  readonly state: string | null;
  readonly challenge: string;
  /** By name; null = everything that both may have. */
  readonly scopes: readonly string[] | null;
  readonly tenantHint: string | null;
  readonly jkt: string | null;
}

/** SHA-256 in base64url (RFC 7636 §4.2, RFC 7638 §3). */
const SHA256_TEXT = /^[A-Za-z0-9_-]{43}$/;

/**
 * The checks in the order that decides how a refusal is told: until client and redirect URI are known to belong together,
 * by a page (RFC 6749 §4.1.2.1), from then on to the client.
 */
export async function readAuthorizationRequest(
  query: string,
  host: ResolvedHost,
  clients: Pick<AskingClients, 'find'>,
): Promise<AuthorizationRequest> {
  const { params, repeated } = queryParams(query);
  const client = await clientOf(params, repeated, host, clients);
  const redirectUri = redirectUriOf(params, repeated, client);
  const state = repeated.has('state') ? null : (params.get('state') ?? null);
  const refuse = (code: ConstructorParameters<typeof RedirectError>[0], text: string) =>
    new RedirectError(code, text, redirectUri, state);

  const [twice] = repeated;
  if (twice !== undefined) throw refuse('invalid_request', `The parameter ${printable(twice)} is sent twice`);
  if (params.has('request')) throw refuse('request_not_supported', 'Request objects are not supported');
  if (params.has('request_uri'))
    throw refuse('request_uri_not_supported', 'Request objects are not supported');
  const responseType = params.get('response_type');
  if (responseType === undefined) throw refuse('invalid_request', 'The parameter response_type is missing');
  if (responseType !== 'code') throw refuse('unsupported_response_type', 'The one response_type is code');
  if ((params.get('response_mode') ?? 'query') !== 'query')
    throw refuse('invalid_request', 'The one response_mode is query');
  if (!client.grantTypes.includes('authorization_code'))
    throw refuse('unauthorized_client', 'The client may not use the grant authorization_code');
  const challenge = params.get('code_challenge');
  if (challenge === undefined)
    throw refuse('invalid_request', 'The parameter code_challenge is missing (RFC 7636)');
  if (params.get('code_challenge_method') !== 'S256')
    throw refuse('invalid_request', 'code_challenge_method must be S256');
  if (!SHA256_TEXT.test(challenge))
    throw refuse('invalid_request', 'code_challenge is not a SHA-256 in base64url');
  const jkt = params.get('dpop_jkt') ?? null;
  if (jkt !== null && !SHA256_TEXT.test(jkt))
    throw refuse('invalid_request', 'dpop_jkt is not a SHA-256 in base64url');
  return {
    client,
    redirectUri,
    state,
    challenge,
    scopes: scopesOf(params, client, refuse),
    tenantHint: params.get('tenant') ?? null,
    jkt,
  };
}

async function clientOf(
  params: Params,
  repeated: ReadonlySet<string>,
  host: ResolvedHost,
  clients: Pick<AskingClients, 'find'>,
): Promise<AskingClient> {
  const clientId = params.get('client_id');
  if (clientId === undefined) throw new PageError(400, 'The parameter client_id is missing.');
  if (repeated.has('client_id')) throw new PageError(400, 'The parameter client_id is sent twice.');
  const client = await clients.find(clientId, host);
  if (!client) throw new PageError(400, 'No application of this name is registered here.');
  return client;
}

function redirectUriOf(params: Params, repeated: ReadonlySet<string>, client: AskingClient): string {
  const { redirectUris } = client;
  const asked = params.get('redirect_uri');
  if (repeated.has('redirect_uri')) throw new PageError(400, 'The parameter redirect_uri is sent twice.');
  if (asked === undefined) {
    const [only, ...others] = redirectUris;
    if (only === undefined || others.length > 0 || client.registered === null)
      throw new PageError(400, 'The parameter redirect_uri is missing.');
    return only;
  }
  if (!isRegistered(asked, redirectUris))
    throw new PageError(400, 'The address in redirect_uri is not registered for this application.');
  return asked;
}

function scopesOf(
  params: Params,
  client: AskingClient,
  refuse: (code: 'invalid_scope', text: string) => RedirectError,
): readonly string[] | null {
  const asked = params.get('scope');
  if (asked === undefined) return null;
  try {
    return grantedScopes(asked, permissionsOfClient(client));
  } catch (error) {
    if (error instanceof OAuthError) throw refuse('invalid_scope', error.description);
    throw error;
  }
}

const PARAMETERS_MAX = 100;

/** What is empty is as absent (RFC 6749 §3.1); of what is sent twice neither counts. */
function queryParams(query: string): { params: Params; repeated: ReadonlySet<string> } {
  const pairs = [...new URLSearchParams(query)];
  if (pairs.length > PARAMETERS_MAX) throw new PageError(400, 'The request has too many parameters.');
  const params = new Map<string, string>();
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const [name, value] of pairs) {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
    if (value !== '' && !value.includes('\0')) params.set(name, value);
  }
  return { params, repeated };
}
