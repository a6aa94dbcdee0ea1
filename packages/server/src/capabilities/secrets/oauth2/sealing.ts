import { z } from 'zod';
import { modeOf, type Scope } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import type { EnvelopePlace, TenantKeys } from '../../kms/index.js';
import {
  OAUTH2_CREDENTIALS_ENVELOPE,
  OAUTH2_TOKENS_ENVELOPE,
  OAUTH2_VERIFIER_ENVELOPE,
} from '../envelope-columns.js';
import type { OAuth2Config } from './store.js';

/** What a client proves itself with at the token endpoint. */
export interface Credentials {
  readonly clientSecret: Secret<string> | null;
  readonly username: Secret<string> | null;
  readonly password: Secret<string> | null;
}

export interface Tokens {
  readonly accessToken: Secret<string>;
  readonly refreshToken: Secret<string> | null;
}

const credentialsSchema = z.object({
  client_secret: z.string().nullable(),
  username: z.string().nullable(),
  password: z.string().nullable(),
});
const tokensSchema = z.object({ access_token: z.string(), refresh_token: z.string().nullable() });

export type Sealing = ReturnType<typeof createSealing>;

/** May call a KMS: never inside a transaction. */
export function createSealing(tenantKeys: Pick<TenantKeys, 'seal' | 'open'>) {
  async function seal(place: EnvelopePlace, text: string): Promise<Buffer> {
    const plaintext = Buffer.from(text, 'utf8');
    try {
      return await tenantKeys.seal(place, plaintext);
    } finally {
      plaintext.fill(0);
    }
  }

  async function open(place: EnvelopePlace, envelope: Buffer): Promise<string> {
    const plaintext = await tenantKeys.open(place, envelope);
    try {
      return plaintext.toString('utf8');
    } finally {
      plaintext.fill(0);
    }
  }

  return {
    sealCredentials: (scope: Scope, id: string, given: Credentials) =>
      seal(
        placeOf(scope, OAUTH2_CREDENTIALS_ENVELOPE, id),
        JSON.stringify({
          client_secret: given.clientSecret?.reveal() ?? null,
          username: given.username?.reveal() ?? null,
          password: given.password?.reveal() ?? null,
        }),
      ),

    async openCredentials(
      scope: Scope,
      { id, credentialsEnvelope }: Pick<OAuth2Config, 'id' | 'credentialsEnvelope'>,
    ): Promise<Credentials> {
      const text = await open(placeOf(scope, OAUTH2_CREDENTIALS_ENVELOPE, id), credentialsEnvelope);
      const { client_secret, username, password } = credentialsSchema.parse(JSON.parse(text));
      return {
        clientSecret: wrapped(client_secret),
        username: wrapped(username),
        password: wrapped(password),
      };
    },

    sealTokens: (scope: Scope, id: string, { accessToken, refreshToken }: Tokens) =>
      seal(
        placeOf(scope, OAUTH2_TOKENS_ENVELOPE, id),
        JSON.stringify({
          access_token: accessToken.reveal(),
          refresh_token: refreshToken?.reveal() ?? null,
        }),
      ),

    async openTokens(scope: Scope, id: string, envelope: Buffer): Promise<Tokens> {
      const text = await open(placeOf(scope, OAUTH2_TOKENS_ENVELOPE, id), envelope);
      const { access_token, refresh_token } = tokensSchema.parse(JSON.parse(text));
      return { accessToken: new Secret(access_token), refreshToken: wrapped(refresh_token) };
    },

    sealVerifier: (scope: Scope, id: string, verifier: Secret<string>) =>
      seal(placeOf(scope, OAUTH2_VERIFIER_ENVELOPE, id), verifier.reveal()),

    openVerifier: async (scope: Scope, id: string, envelope: Buffer) =>
      new Secret(await open(placeOf(scope, OAUTH2_VERIFIER_ENVELOPE, id), envelope)),
  };
}

function wrapped(text: string | null): Secret<string> | null {
  return text === null ? null : new Secret(text);
}

function placeOf(
  scope: Scope,
  { table, column }: { readonly table: string; readonly column: string },
  rowId: string,
): EnvelopePlace {
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
