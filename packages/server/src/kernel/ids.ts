declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type TenantId = Branded<'TenantId'>;
export type UserId = Branded<'UserId'>;
export type SessionId = Branded<'SessionId'>;
export type InvitationId = Branded<'InvitationId'>;
export type ApiKeyId = Branded<'ApiKeyId'>;
export type VaultId = Branded<'VaultId'>;
export type TokenId = Branded<'TokenId'>;
export type CryptoKeyId = Branded<'CryptoKeyId'>;
export type DbConnectionId = Branded<'DbConnectionId'>;
export type DbRoleId = Branded<'DbRoleId'>;
export type OAuthClientId = Branded<'OAuthClientId'>;
export type OAuthTokenId = Branded<'OAuthTokenId'>;
export type OAuthFamilyId = Branded<'OAuthFamilyId'>;
export type OidcBindingId = Branded<'OidcBindingId'>;
export type ClientTokenId = Branded<'ClientTokenId'>;
export type WrapTokenId = Branded<'WrapTokenId'>;
export type RequestId = Branded<'RequestId'>;

/** Source of row ids; injected so that tests can fix them. */
export interface IdSource {
  /** A UUID v4. */
  uuid(): string;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

export type Mode = 'live' | 'test';

/** What every tenant query is narrowed by. `sandbox` is the row form of the mode `test` (contract README §12). */
export interface Scope {
  readonly tenantId: TenantId;
  readonly sandbox: boolean;
}

export function modeOf(scope: Pick<Scope, 'sandbox'>): Mode {
  return scope.sandbox ? 'test' : 'live';
}
