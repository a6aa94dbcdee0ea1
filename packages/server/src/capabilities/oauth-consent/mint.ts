import { modeOf, type OAuthClientId, type OAuthFamilyId, type Scope, type UserId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { Dpop } from '../dpop/index.js';
import {
  actorOfSource,
  invalidGrant,
  type OAuthTokens,
  type TokenAnswer,
  type TokenCall,
  type TokenSource,
} from '../oauth/index.js';

/** What a user has allowed a client, as it is kept until the client fetches its tokens. */
export interface Consented {
  readonly scope: Scope;
  readonly oauthClientId: OAuthClientId;
  readonly isByAlias: boolean;
  readonly userId: UserId;
  readonly epoch: number;
  readonly scopes: readonly string[];
}

export interface MintForUserDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly tokens: Pick<OAuthTokens, 'stateOf' | 'openFamilyIn' | 'mintIn'>;
  readonly dpop: Pick<Dpop, 'consumeIn'>;
}

export type UserSource = Extract<TokenSource, { kind: 'user' }>;

export function userSource({ userId, oauthClientId, epoch }: Omit<Consented, 'scope'>): UserSource {
  return { kind: 'user', userId, oauthClientId, epoch };
}

/** Whether it was given to the client that comes, and is of the mode of that client's host. */
export function isOfCaller(consented: Consented, call: TokenCall): boolean {
  const { mode } = call.host;
  return (mode === null || mode === modeOf(consented.scope)) && isOfClient(consented, call);
}

/** Whether that client asked for it; the row is null of an alias that nobody has answered yet. */
export function isOfClient(
  asked: { readonly oauthClientId: OAuthClientId | null; readonly isByAlias: boolean },
  { client }: TokenCall,
): boolean {
  const { oauthClientId, isByAlias } = asked;
  // The alias alone, without a client of its own: the first fetch of the CLI (auth.md §2.4).
  if (client === null) return isByAlias;
  return client.source.kind === 'client' && client.source.oauthClientId === oauthClientId;
}

/**
 * In one transaction: what is presented is used up, the proof with it, a family begins and its first pair is minted.
 * Undefined where it was used up in the meantime.
 */
export async function mintForUser(
  { db, tokens, dpop }: MintForUserDeps,
  call: TokenCall,
  consented: Consented & { readonly grantType: string; readonly tenantSlug: string },
  presented: {
    use(tx: Transaction): Promise<boolean>;
    given?(tx: Transaction, familyId: OAuthFamilyId): Promise<void>;
  },
): Promise<TokenAnswer | undefined> {
  const { scope, scopes: permissions, grantType, tenantSlug } = consented;
  if (call.host.tenantSlug !== null && call.host.tenantSlug !== tenantSlug)
    throw invalidGrant('This is the host of another tenant');
  const source = userSource(consented);
  const state = await tokens.stateOf(scope, source);
  if (!state) throw invalidGrant('The user or the client is not what it was at consent');
  const { proof } = call;
  const jkt = proof?.jkt ?? null;
  const actor = actorOfSource(scope, source, call);
  const given = await db.transaction(async (tx) => {
    if (!(await presented.use(tx))) return undefined;
    if (proof !== null) await dpop.consumeIn(tx, proof);
    const { familyId, refreshToken } = await tokens.openFamilyIn(tx, {
      scope,
      source,
      grantType,
      permissions,
      jkt,
    });
    const mint = { scope, source, grantType, permissions, jkt, familyId };
    const minted = await tokens.mintIn(tx, { ...mint, ttlSeconds: LIMITS.accessTokenSeconds }, actor);
    await presented.given?.(tx, familyId);
    return { minted, refreshToken };
  });
  if (!given) return undefined;
  const { minted, refreshToken } = given;
  const mayRefresh = call.client === null || call.client.grantTypes.includes('refresh_token');
  return {
    ...minted,
    scope: permissions.join(' '),
    tenantSlug,
    ...(mayRefresh && { refreshToken }),
    ...(consented.isByAlias && { clientId: state.clientId }),
  };
}
