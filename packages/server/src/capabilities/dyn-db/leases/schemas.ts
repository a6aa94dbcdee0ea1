import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { instantText } from '../../../platform/http/pagination.js';
import { ENGINES } from '../providers/engine.js';
import { askedTtl, resourceName } from '../schemas.js';
import { END_CAUSES } from '../tables.js';
import { ENDED, type Lease, LISTED } from './lease.js';
import type { MintedCredential } from './mint.js';
import type { RenewedLease } from './renew.js';
import type { LeaseList } from './service.js';

export const mintBody = z.strictObject({
  ttl_seconds: askedTtl
    .default(null)
    .describe(
      'How long it lives; more than the maximum of role and connection is cut. Null, 0 or less: their default.',
    ),
});

export const mintedResponse = z
  .object({
    username: z.string(),
    password: z.string().describe('Shown here alone, and nowhere kept.'),
    expires_at: instantText,
    lease_id: z.number(),
    connection_name: z.string(),
    role_name: z.string(),
  })
  .meta({ id: 'DynDbCredential' });

export function mintedWire(minted: MintedCredential): z.input<typeof mintedResponse> {
  return {
    username: minted.username,
    password: minted.password.reveal(),
    expires_at: isoTime(minted.expiresAtMs),
    lease_id: minted.leaseId,
    connection_name: minted.connectionName,
    role_name: minted.roleName,
  };
}

const wholeNumber = z.coerce.number().int();
const filter = z.string().min(1).max(LIMITS.nameCharactersMax).optional();
export const leaseListQuery = z.object({
  limit: wholeNumber
    .transform((n) => Math.min(Math.max(n, 1), LIMITS.leasesPerPageMax))
    .default(LIMITS.leasesPerPage)
    .describe(`Rows of one answer; taken into 1 to ${LIMITS.leasesPerPageMax}.`)
    .meta({ default: LIMITS.leasesPerPage }),
  offset: wholeNumber.min(0).max(1_000_000_000).default(0).describe('Rows that are passed over.'),
  connection: filter.describe('Name of a connection, whole.'),
  role: filter.describe('Name of a role, whole.'),
  actor: filter.describe('Who minted: the public half of an API key, or the id of a user.'),
  state: z
    .enum([...LISTED, ...ENDED])
    .optional()
    .describe('Those in this state alone.'),
  status: z.enum(['live', 'all']).default('live').describe('`all`: those that have ended too.'),
});

export const leaseResponse = z
  .object({
    id: z.number(),
    status: z.enum([...LISTED, ...ENDED]),
    expires_at: instantText,
    issued_at: instantText,
    username: z.string().nullable(),
    connection_name: z.string().nullable(),
    role_name: z.string().nullable(),
    engine: z.enum(ENGINES).nullable(),
    actor: z.string().describe('Who minted: the public half of an API key, or the id of a user.'),
  })
  .meta({ id: 'DynDbLease' });

export function leaseWire(lease: Lease): z.input<typeof leaseResponse> {
  return {
    id: lease.id,
    // Services give out no pending ones.
    status: lease.status as (typeof LISTED)[number] | (typeof ENDED)[number],
    expires_at: isoTime(lease.expiresAtMs),
    issued_at: isoTime(lease.issuedAtMs),
    username: lease.username,
    connection_name: lease.connectionName,
    role_name: lease.roleName,
    engine: lease.engine,
    actor: lease.actor,
  };
}

export const leaseListResponse = z
  .object({
    leases: z.array(leaseResponse),
    total: z.number(),
    limit: z.number(),
    offset: z.number(),
  })
  .meta({ id: 'DynDbLeases' });

export function leaseListWire(list: LeaseList): z.input<typeof leaseListResponse> {
  return { ...list, leases: list.leases.map(leaseWire) };
}

export const leaseDetailResponse = leaseResponse
  .extend({
    last_error: z.string().nullable().describe('Of the last try to end or renew it.'),
    revoke_attempts: z.number().describe('Failures since the last success.'),
    next_attempt_at: instantText.nullable().describe('When it is looked at; null: it has ended.'),
    end_cause: z
      .enum(END_CAUSES)
      .nullable()
      .describe(
        'Why it ends or has ended; `forgotten`: its user was left behind. Null while it lives until its expiry.',
      ),
  })
  .meta({ id: 'DynDbLeaseDetail' });

export function leaseDetailWire(lease: Lease): z.input<typeof leaseDetailResponse> {
  return {
    ...leaseWire(lease),
    last_error: lease.lastError,
    revoke_attempts: lease.attempts,
    next_attempt_at: isoTimeOrNull(lease.nextAttemptAtMs),
    end_cause: lease.endCause,
  };
}

export const renewBody = z.strictObject({
  ttl_seconds: askedTtl
    .default(null)
    .describe('From now on; null: as long as at first. Never beyond its maximum.'),
});

export const renewedResponse = z
  .object({ lease_id: z.number(), expires_at: instantText })
  .meta({ id: 'DynDbLeaseRenewed' });

export function renewedWire({ leaseId, expiresAtMs }: RenewedLease): z.input<typeof renewedResponse> {
  return { lease_id: leaseId, expires_at: isoTime(expiresAtMs) };
}

export const revokeBody = z.strictObject({
  force: z
    .boolean()
    .default(false)
    .describe('True: end it also where its user cannot be dropped and is left behind. Needs `dyn-db:force`.'),
});

export const revokedResponse = z
  .object({ revoked: z.number().describe('Id of the lease.') })
  .meta({ id: 'DynDbLeaseRevoked' });

export const revokeManyBody = z
  .strictObject({
    connection: resourceName.optional().describe('Those of this connection.'),
    role: resourceName.optional().describe('Of these, those of this role.'),
    ids: z
      .array(z.int().min(1))
      .min(1)
      .max(LIMITS.leasesChangedAtOnce)
      .optional()
      .describe('Of these, those with one of these ids.'),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    error: 'must name connection, role or ids',
    when: ({ issues }) => issues.length === 0,
  });

export const acceptedResponse = z
  .object({ accepted: z.number().describe('Leases that are ended from now on, in the background.') })
  .meta({ id: 'DynDbRevocationsAccepted' });

/** What is no number of a lease is a lease that is not there. */
export function leaseIdOf(text: string): number {
  if (!/^[1-9][0-9]{0,15}$/.test(text) || !Number.isSafeInteger(Number(text))) throw notFound('Lease');
  return Number(text);
}
