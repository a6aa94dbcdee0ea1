import { AppError, rateLimitExceeded } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

/** The same for an unknown account and a wrong password (auth.md §7). */
export function invalidCredentials(): AppError {
  return new AppError('invalid_credentials', 'The e-mail address or the password is not right');
}

/** Bad, run out, or of a session that has ended: one answer. */
export function invalidAdminToken(): AppError {
  return new AppError('invalid_token', 'The admin token is not valid');
}

export function sessionEnded(): AppError {
  return new AppError('invalid_token', 'The session has ended; sign in again');
}

/** For those who are not signed in alone: the database itself is well. */
export function tooManyVisitors(): AppError {
  return new AppError('dependency_unavailable', 'Too many sign in, refresh or sign out at once', {
    dependency: 'database',
    retryAfterSeconds: 1,
  });
}

export function refreshTokenRequired(): AppError {
  return new AppError(
    'authentication_required',
    'Send the cookie knox_refresh, or refresh_token in the body',
  );
}

export function csrfTokenMissing(): AppError {
  return new AppError('forbidden', 'A call with cookies repeats the cookie knox_csrf in X-CSRF-Token');
}

export function stepUpRequired(maxAgeSeconds: number): AppError {
  return stepUpDue(
    'step_up_required',
    'Prove yourself anew with POST /admin/auth/step-up, and send its step_up_token as X-KnoxCall-StepUp',
    maxAgeSeconds,
  );
}

export function stepUpExpired(maxAgeSeconds: number): AppError {
  return stepUpDue(
    'step_up_expired',
    'The step-up is too old for this; take a new one with POST /admin/auth/step-up',
    maxAgeSeconds,
  );
}

/** The challenge is that of RFC 9470 §3. */
function stepUpDue(
  type: 'step_up_required' | 'step_up_expired',
  text: string,
  maxAgeSeconds: number,
): AppError {
  return new AppError(type, text, {
    extra: { max_age_seconds: maxAgeSeconds },
    headers: {
      'www-authenticate': `Bearer error="insufficient_user_authentication", max_age=${maxAgeSeconds}`,
    },
  });
}

export function stepUpOfAnother(): AppError {
  return new AppError(
    'forbidden',
    'The step-up is of another user, session or tenant: it is taken with the X-Tenant-ID of the call that it is for',
  );
}

/** A wrong code, a used one, and a factor that is not enrolled: one answer. */
export function factorNotRight(): AppError {
  return new AppError('invalid_credentials', 'What was sent does not prove who you are');
}

/** Unknown, used and run out: one answer. */
export function signInNotPending(): AppError {
  return new AppError('invalid_token', 'The sign-in has run out; begin again');
}

export function tooManyLinks(waitMs: number): AppError {
  return rateLimitExceeded('Too many sign-in links were asked for from this address; try again later', {
    retryAfterSeconds: waitMs / 1000,
  });
}

/** Unknown, used, run out, and ended by a change of the password: one answer. */
export function linkNotGood(): AppError {
  return new AppError('invalid_token', 'The sign-in link is not valid any more; ask for a new one');
}

export function totpEnrolled(): AppError {
  return new AppError('conflict', 'A code app is enrolled; remove it first');
}

export function noFactorEnrolled(): AppError {
  return new AppError('conflict', 'Recovery codes come with a second factor, and none is enrolled');
}

export function passwordNotRight(): AppError {
  return new AppError('invalid_credentials', 'The present password is not right');
}

export function tooManyPasskeys(): AppError {
  return new AppError(
    'conflict',
    `A user has at most ${LIMITS.passkeysPerUserMax} passkeys; remove one first`,
  );
}

/** One answer, so that who asks learns no more of others than that the name is not free. */
export function slugTaken(): AppError {
  return new AppError('conflict', 'The slug is taken, or was another tenant’s in the last 90 days');
}

export function slugsUsedUp(): AppError {
  return new AppError(
    'conflict',
    `The tenant holds ${LIMITS.tenantSlugsKeptMax} former slugs, each for 90 days: take one of those, or wait`,
  );
}

export function tooManyTenantsMade(waitMs: number): AppError {
  return rateLimitExceeded(`A user makes at most ${LIMITS.tenantsMadeMax} tenants a day`, {
    retryAfterSeconds: waitMs / 1000,
  });
}
