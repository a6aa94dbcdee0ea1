import type { Services } from '../app/services.js';
import type { RequestId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { systemIds } from '../platform/crypto/random.js';

/** The admin token of a new session of a user that has no second factor. */
export async function signInWith(
  { auth }: Pick<Services, 'auth'>,
  email: string,
  password: string,
): Promise<string> {
  const device = { requestId: systemIds.uuid() as RequestId, ip: '127.0.0.1', userAgent: null };
  const outcome = await auth.signIns.signIn(email, new Secret(password), device);
  if (outcome.kind !== 'open') throw new Error(`${email} has a second factor`);
  return outcome.session.token.reveal();
}
