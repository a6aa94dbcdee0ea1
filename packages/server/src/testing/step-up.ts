import type { Services } from '../app/services.js';
import type { TenantId } from '../kernel/ids.js';
import type { Database } from '../platform/storage/database.js';

interface StepUpFloor extends Pick<Services, 'sessions' | 'stepUpTokens'> {
  readonly db: Database;
}

/**
 * What `POST /admin/auth/step-up` would give the session of that admin token, in its only tenant unless one is named:
 * for the header `X-KnoxCall-StepUp`.
 */
export async function stepUpWith(
  { db, sessions, stepUpTokens }: StepUpFloor,
  token: string,
  tenantId?: TenantId | null,
): Promise<string> {
  const { user, sessionId, memberships } = await sessions.authenticate(token);
  const only = memberships.length === 1 ? memberships[0]!.tenantId : null;
  const holder = { userId: user.id, sessionId, tenantId: tenantId === undefined ? only : tenantId };
  const issued = await db.transaction((tx) => stepUpTokens.issue(tx, holder));
  return issued.token.reveal();
}
