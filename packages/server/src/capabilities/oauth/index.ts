export {
  type AuthenticateClient,
  createClientAuthentication,
} from './client-authentication.js';
export {
  invalidClient,
  invalidGrant,
  invalidRequest,
  invalidScope,
  OAUTH_ERROR_STATUS,
  OAuthError,
  type OAuthErrorCode,
  proofRequired,
  tenantInactive,
} from './errors.js';
export { createExplain } from './explain.js';
export { clientCredentialsGrant } from './grants/client-credentials.js';
export { actorOfSource, type Grant, type TokenAnswer, type TokenCall } from './grants/grant.js';
export { refreshTokenGrant } from './grants/refresh-token.js';
export { createIntrospection } from './introspection.js';
export { oauthJobs } from './jobs.js';
export { createLineage } from './lineage.js';
export { type MetadataDeps, metadataOf } from './metadata.js';
export {
  formParams,
  jsonParams,
  type OAuthAnswer,
  type OAuthRequest,
  type Params,
  printable,
  required,
} from './request.js';
export { createRevocation } from './revocation.js';
export { oauthRoutes } from './routes.js';
export { migrations } from './tables.js';
export { createTokenEndpoint, type TokenEndpoint } from './token-endpoint.js';
export { rememberSources } from './tokens/known-sources.js';
export { grantedScopes } from './tokens/scopes.js';
export {
  createOAuthTokens,
  type FamilyRequest,
  type LiveToken,
  type MintedToken,
  type MintRequest,
  type OAuthTokens,
} from './tokens/service.js';
export { createFindSource, type FindSource, type SourceState, type TokenSource } from './tokens/sources.js';
