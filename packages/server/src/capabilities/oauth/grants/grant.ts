import type { RequestId, Scope } from '../../../kernel/ids.js';
import type { Actor } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { ResolvedHost } from '../../../platform/http/hosts.js';
import type { VerifiedProof } from '../../dpop/index.js';
import type { KnownClient } from '../../oauth-clients/index.js';
import type { Params } from '../request.js';
import type { MintedToken } from '../tokens/service.js';
import type { TokenSource } from '../tokens/sources.js';

/** What a grant gets: client and proof are checked, the rest is its own to judge. */
export interface TokenCall {
  readonly params: Params;
  /** Null: it named none, or the alias of the CLI. */
  readonly client: KnownClient | null;
  readonly proof: VerifiedProof | null;
  readonly host: ResolvedHost;
  readonly origin: string;
  /** `gateway` at `POST /v1/oauth/token` of a tenant host (auth.md §2.8). */
  readonly surface: 'management' | 'gateway';
  readonly requestId: RequestId;
  readonly ip: string | null;
  readonly nowMs: number;
}

export interface TokenAnswer {
  readonly accessToken: Secret<string>;
  readonly tokenType: MintedToken['tokenType'];
  readonly expiresInSeconds: number;
  /** As it stands in the answer: names with a space between. */
  readonly scope: string;
  readonly tenantSlug: string;
  readonly refreshToken?: Secret<string>;
  /** The real client of a log-in by the alias (auth.md §2.4). */
  readonly clientId?: string;
  readonly issuedTokenType?: string;
}

/** One grant type of RFC 6749 §4: its checks in the order of its standard, then one transaction that uses up and mints. */
export interface Grant {
  readonly type: string;
  /**
   * `required`: a client that is allowed the grant; `required_or_alias`: the alias of the CLI will do as well;
   * `none`: what is presented is the credential.
   */
  readonly client: 'required' | 'required_or_alias' | 'none';
  run(call: TokenCall): Promise<TokenAnswer>;
}

/** Who an audit row names as the cause of a mint. */
export function actorOfSource(
  scope: Scope,
  source: TokenSource,
  { requestId, ip }: Pick<TokenCall, 'requestId' | 'ip'>,
): Actor {
  const ofClient = source.kind === 'client' || source.kind === 'user';
  return {
    scope,
    apiKeyId: source.kind === 'api_key' ? source.apiKeyId : null,
    userId: source.kind === 'user' ? source.userId : null,
    oauthClientId: ofClient ? source.oauthClientId : null,
    bindingId: source.kind === 'binding' ? source.bindingId : null,
    requestId,
    ip,
  };
}
