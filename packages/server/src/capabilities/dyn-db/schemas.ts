import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';

/** A name in a path; one that no row can have is a row that is not there. */
const reference = z.string().min(1).max(LIMITS.nameCharactersMax);
export const connectionParams = z.object({ name: reference.describe('Name of the connection.') });
export const roleParams = connectionParams.extend({ role: reference.describe('Name of the role.') });
export const leaseParams = z.object({ id: reference.describe('`lease_id` of the mint.') });

export const resourceName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'must match ^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$');

const TTL_RULE = `must be ${LIMITS.leaseTtlSecondsMin} to ${LIMITS.leaseTtlSecondsMax} seconds`;
/** Of connections and roles; a mint may ask for less. */
export const storedTtl = z
  .int('must be a whole number of seconds')
  .min(LIMITS.leaseTtlSecondsMin, TTL_RULE)
  .max(LIMITS.leaseTtlSecondsMax, TTL_RULE);

/** What is zero or less asks for nothing; more than the maximum is cut. */
export const askedTtl = z
  .int('must be a whole number of seconds')
  .min(-Number.MAX_SAFE_INTEGER)
  .max(Number.MAX_SAFE_INTEGER)
  .nullable();

export const usernameTemplate = z
  .string()
  .min(1)
  .max(LIMITS.usernameTemplateCharactersMax)
  .nullable()
  .describe(
    'What follows `kc_user_` in the names of users: a-z, 0-9, _ and `{{actor}}`, `{{role}}`, `{{connection}}`, `{{random}}`. Null: 20 random characters.',
  );

export const maxLiveLeases = z
  .int('must be a whole number')
  .min(1)
  .max(LIMITS.liveLeasesCapMax)
  .nullable()
  .describe('So many leases may live at once; a mint beyond is 402. Null: no bound.');

const flag = z.enum(['true', 'false']).default('false');
const isTrue = (text: string) => text === 'true';
export const verifyQuery = z.object({
  verify: flag
    .transform(isTrue)
    .describe('`true`: try it on the database first, and store nothing where it fails.'),
});
export const forceQuery = z.object({
  force: flag
    .transform(isTrue)
    .describe('`true`: although leases live, whose users are left behind. Needs `dyn-db:force`.'),
});

/** `{updated: "<name>"}` (dyn-db.md §2). */
export const updatedResponse = z
  .object({ updated: z.string().describe('Its name.') })
  .meta({ id: 'DynDbUpdated' });
export const deletedResponse = z
  .object({ deleted: z.string().describe('Its name.') })
  .meta({ id: 'DynDbDeleted' });

/** A change has to change something; where a field is at fault that is said alone. */
export const NAMES_A_FIELD = {
  error: 'must name at least one field to change',
  when: ({ issues }: { issues: readonly unknown[] }) => issues.length === 0,
};

/** Only what the body names: an absent member is no change. */
export function definedOnly<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
