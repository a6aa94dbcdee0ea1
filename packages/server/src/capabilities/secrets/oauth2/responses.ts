import { z } from 'zod';
import { isoTimeOrNull } from '../../../kernel/clock.js';
import { instantText } from '../../../platform/http/pagination.js';
import { CONNECTION_STATUSES } from './life.js';
import type { OAuth2Details } from './service.js';
import { GRANT_TYPES, PROVIDERS } from './tables.js';

export const status = z
  .enum(CONNECTION_STATUSES)
  .describe('`pending`: not connected yet. `error`: somebody has to do something.');

export const details = {
  provider: z.enum(PROVIDERS),
  grant_type: z.enum(GRANT_TYPES),
  client_id: z.string(),
  scopes: z.array(z.string()),
  auth_url: z.string().nullable(),
  token_url: z.string().nullable(),
  redirect_uri: z.string().describe('To be registered with the provider.'),
  connection_status: status,
  last_error: z
    .string()
    .nullable()
    .describe('Why the last try gave no token: the code of the provider, or of what went wrong on the way.'),
  token_expires_at: instantText
    .nullable()
    .describe('Of the access token; null: there is none, or it says no end.'),
};

export const oauth2Response = z.object(details).meta({ id: 'OAuth2Connection' });

export function oauth2Wire(shown: OAuth2Details) {
  return {
    provider: shown.provider,
    grant_type: shown.grantType,
    client_id: shown.clientId,
    scopes: [...shown.scopes],
    auth_url: shown.authUrl,
    token_url: shown.tokenUrl === '' ? null : shown.tokenUrl,
    redirect_uri: shown.redirectUri,
    connection_status: shown.status,
    last_error: shown.lastError,
    token_expires_at: isoTimeOrNull(shown.tokenExpiresAtMs),
  };
}
