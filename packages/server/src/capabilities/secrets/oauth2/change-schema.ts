import { z } from 'zod';
import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import type { OAuth2Change } from './service.js';

export const url = z
  .string()
  .max(LIMITS.oauth2UrlCharactersMax)
  .superRefine((text, context) => {
    const problem = urlProblem(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });

/** RFC 6749 §3.1, §3.2: no fragment. */
function urlProblem(text: string): string | null {
  if (!URL.canParse(text)) return 'must be an absolute URL';
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'https:') return 'must begin with https://';
  if (username !== '' || password !== '') return 'must not hold a user name or password';
  return text.includes('#') ? 'must not have a fragment' : null;
}

export const credential = z
  .string()
  .min(1, 'must not be empty')
  .max(LIMITS.oauth2CredentialCharactersMax)
  .refine((text) => !/[\p{Cc}\p{Cs}]/u.test(text), 'must be text of one line')
  .transform((text) => new Secret(text));

export const oauth2Changes = {
  token_url: url
    .optional()
    .describe('Of an oauth2 secret; another one takes its credentials with it, and drops its tokens.'),
  client_secret: credential.optional().describe('Of an oauth2 secret.'),
  password: credential.optional().describe('Of an oauth2 secret with the grant_type `password`.'),
};

interface SentChange {
  readonly token_url?: string | undefined;
  readonly client_secret?: Secret<string> | undefined;
  readonly password?: Secret<string> | undefined;
}

export function oauth2ChangeOf(body: SentChange): { oauth2?: OAuth2Change } {
  const { token_url: tokenUrl, client_secret: clientSecret, password } = body;
  if (tokenUrl === undefined && !clientSecret && !password) return {};
  return {
    oauth2: {
      ...(tokenUrl !== undefined && { tokenUrl }),
      ...(clientSecret && { clientSecret }),
      ...(password && { password }),
    },
  };
}
