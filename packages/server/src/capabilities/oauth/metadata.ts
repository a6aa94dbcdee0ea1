import { KEY_PERMISSIONS } from '../permissions/index.js';

export interface MetadataDeps {
  readonly grantTypes: readonly string[];
  readonly dpopAlgorithms: readonly string[];
}

/** Names and secrets, in either way, and public clients. */
const AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'none'];
/** A public client has nothing to show that it may ask about tokens. */
const INTROSPECTION_AUTH_METHODS = ['client_secret_basic', 'client_secret_post'];

/** RFC 8414: what works at that origin, and nothing else. */
export function metadataOf(origin: string, deps: MetadataDeps): Record<string, unknown> {
  return {
    issuer: origin,
    authorization_endpoint: `${origin}/oauth/authorize`,
    token_endpoint: `${origin}/oauth/token`,
    introspection_endpoint: `${origin}/oauth/introspect`,
    revocation_endpoint: `${origin}/oauth/revoke`,
    device_authorization_endpoint: `${origin}/oauth/device_authorization`,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    grant_types_supported: [...deps.grantTypes],
    token_endpoint_auth_methods_supported: AUTH_METHODS,
    introspection_endpoint_auth_methods_supported: INTROSPECTION_AUTH_METHODS,
    revocation_endpoint_auth_methods_supported: AUTH_METHODS,
    dpop_signing_alg_values_supported: [...deps.dpopAlgorithms],
    scopes_supported: [...KEY_PERMISSIONS],
    service_documentation: `${origin}/docs`,
  };
}
