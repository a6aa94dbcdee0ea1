import { AppError, validationError, validationErrors } from '../../../kernel/errors.js';

export function notOAuth2(): AppError {
  return new AppError('invalid_type', 'The secret is not of type oauth2');
}

export function notConnected(name: string): AppError {
  return new AppError('conflict', `The secret ${name} is not connected yet`);
}

/** `code` is the provider's, or our name of what went wrong on the way. */
export function tokenFailed(name: string, code: string): AppError {
  return new AppError('token_error', `No access token of the secret ${name}: ${code}`);
}

export function tokenEnded(name: string): AppError {
  return new AppError('token_error', `The access token of the secret ${name} has expired; connect it again`);
}

export function noVisit(): AppError {
  return validationError('grant_type', 'must be authorization_code or implicit to be connected by a browser');
}

/** At a write, of credentials that the provider does not take. */
export function credentialsRefused(code: string): AppError {
  return validationError(FIELD_OF[code] ?? 'token_url', `the provider refused: ${code}`);
}

const FIELD_OF: Readonly<Record<string, string>> = {
  invalid_client: 'client_secret',
  unauthorized_client: 'client_id',
  invalid_scope: 'scopes',
  invalid_grant: 'password',
};

/** contract README §10. */
export function destinationMoved(moved: readonly string[], missing: readonly string[]): AppError {
  const what = missing.join(' and ');
  return validationErrors(
    new Map(
      [
        ...moved.map(
          (name) => [name, [`leads the stored credential elsewhere: send ${what} again with it`]] as const,
        ),
        ...missing.map((name) => [name, [`must be sent again with ${moved.join(' and ')}`]] as const),
      ].map(([name, rules]) => [name, [...rules]]),
    ),
  );
}

export function changedMeanwhile(): AppError {
  return new AppError('conflict', 'The secret was changed at the same time');
}
