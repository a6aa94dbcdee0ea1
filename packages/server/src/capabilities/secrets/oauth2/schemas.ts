import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { instantText } from '../../../platform/http/pagination.js';
import { environmentName } from '../../environments/index.js';
import { secretRowResponse, secretRowWire } from '../responses.js';
import { hasOneList, hostLists, hostsOf, newTerms, newTermsOf, ONE_LIST, terms } from '../schemas.js';
import { credential, url } from './change-schema.js';
import type { BegunVisit } from './connecting.js';
import type { CreatedOAuth2Secret } from './creating.js';
import type { CurrentToken } from './current-tokens.js';
import { needsBrowser } from './providers.js';
import { details, oauth2Wire, status } from './responses.js';
import type { NewOAuth2 } from './service.js';
import { GRANT_TYPES, PROVIDERS } from './tables.js';

/** RFC 6749 appendix A. */
const VISIBLE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
const SCOPE = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/;

const fields = {
  provider: z
    .enum(PROVIDERS, `must be one of ${PROVIDERS.join(', ')}`)
    .describe('Whose addresses are known; `custom`: they are sent.'),
  client_id: z
    .string()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .regex(VISIBLE, 'must be visible ASCII, without spaces at its ends'),
  client_secret: credential.nullable().describe('Due unless the grant_type is `implicit` or `password`.'),
  grant_type: z
    .enum(GRANT_TYPES, `must be one of ${GRANT_TYPES.join(', ')}`)
    .describe(
      '`authorization_code` and `implicit` are connected by a person in a browser, the others at once.',
    ),
  scopes: z
    .array(
      z
        .string()
        .max(LIMITS.nameCharactersMax)
        .regex(SCOPE, 'must be visible ASCII without spaces and commas'),
    )
    .max(LIMITS.oauth2ScopesMax)
    .describe('What is asked for.'),
  auth_url: url.nullable().describe('Where the browser goes; null: that of the provider.'),
  token_url: url.nullable().describe('Where tokens come from; null: that of the provider.'),
  username: credential.nullable().describe('Of the grant_type `password`.'),
  password: credential.nullable().describe('Of the grant_type `password`.'),
  mtls_certificate_id: z
    .null({ error: 'must be null: client certificates at token endpoints come in a later version' })
    .describe('Null in this version.'),
};

type Sent = {
  readonly provider: NewOAuth2['provider'];
  readonly grant_type: NewOAuth2['grantType'];
  readonly client_secret: Secret<string> | null;
  readonly auth_url: string | null;
  readonly token_url: string | null;
  readonly username: Secret<string> | null;
  readonly password: Secret<string> | null;
};

function problems(body: Sent): [keyof Sent, string][] {
  const { grant_type: grant } = body;
  const isPassword = grant === 'password';
  const found: [keyof Sent, boolean, string][] = [
    ['client_secret', body.client_secret === null && !isPassword && grant !== 'implicit', 'is required'],
    [
      'auth_url',
      body.provider === 'custom' && needsBrowser(grant) && body.auth_url === null,
      'is required of a custom provider',
    ],
    [
      'token_url',
      body.provider === 'custom' && grant !== 'implicit' && body.token_url === null,
      'is required of a custom provider',
    ],
    ['username', isPassword && body.username === null, 'is required with the grant_type password'],
    ['password', isPassword && body.password === null, 'is required with the grant_type password'],
    ['username', !isPassword && body.username !== null, 'is of the grant_type password alone'],
    ['password', !isPassword && body.password !== null, 'is of the grant_type password alone'],
  ];
  return found.filter(([, isWrong]) => isWrong).map(([field, , rule]) => [field, rule]);
}

export const createOAuth2Body = z
  .strictObject({
    ...newTerms,
    ...hostLists,
    secret_type: z.literal('oauth2').default('oauth2'),
    expires_at: terms.expires_at.default(null),
    provider: fields.provider,
    client_id: fields.client_id,
    client_secret: fields.client_secret.default(null),
    grant_type: fields.grant_type.default('authorization_code'),
    scopes: fields.scopes.default([]),
    auth_url: fields.auth_url.default(null),
    token_url: fields.token_url.default(null),
    username: fields.username.default(null),
    password: fields.password.default(null),
    mtls_certificate_id: fields.mtls_certificate_id.default(null),
  })
  .superRefine((body, context) => {
    for (const [field, message] of problems(body))
      context.addIssue({ code: 'custom', message, path: [field] });
  })
  .refine(hasOneList, ONE_LIST)
  .transform((body) => ({
    terms: { ...newTermsOf(body), expiresAtMs: body.expires_at, allowedHosts: hostsOf(body) ?? null },
    oauth2: {
      provider: body.provider,
      grantType: body.grant_type,
      clientId: body.client_id,
      clientSecret: body.client_secret,
      username: body.username,
      password: body.password,
      authUrl: body.auth_url,
      tokenUrl: body.token_url,
      scopes: body.scopes,
    } satisfies NewOAuth2,
  }));

export const createdOAuth2Response = z
  .object({ ...secretRowResponse.shape, ...details })
  .meta({ id: 'OAuth2Secret' });

export function createdOAuth2Wire(secret: CreatedOAuth2Secret) {
  return { ...secretRowWire(secret), ...oauth2Wire(secret.oauth2) };
}

const environment = environmentName.optional().describe('Absent: the base environment.');
export const connectBody = z.strictObject({ environment });
export const tokenQuery = z.object({ environment });

export const begunResponse = z
  .object({
    authorization_url: z
      .string()
      .describe('Where the browser of the person goes that gives consent; good once, until expires_at.'),
    redirect_uri: z.string(),
    environment: z.string(),
    expires_at: instantText,
  })
  .meta({ id: 'OAuth2Visit' });

export function begunWire({ authorizationUrl, redirectUri, environment: at, expiresAtMs }: BegunVisit) {
  return {
    authorization_url: authorizationUrl.reveal(),
    redirect_uri: redirectUri,
    environment: at,
    expires_at: isoTime(expiresAtMs),
  };
}

export const oauth2TokenResponse = z
  .object({
    access_token: z.string(),
    expires_at: instantText.nullable().describe('Null: it says no end.'),
    token_type: z.string(),
    connection_status: status,
  })
  .meta({ id: 'OAuth2Token' });

export function oauth2TokenWire({ accessToken, expiresAtMs, tokenType, status: connection }: CurrentToken) {
  return {
    access_token: accessToken.reveal(),
    expires_at: isoTimeOrNull(expiresAtMs),
    token_type: tokenType,
    connection_status: connection,
  };
}
