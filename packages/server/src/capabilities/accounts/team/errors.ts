import { AppError, rateLimitExceeded } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';

export function lastOwner(): AppError {
  return new AppError('conflict', 'The last Owner can neither leave nor be given another role');
}

/** Who lacks a role cannot hand it on (auth.md §1.3). */
export function ownersMakeOwners(): AppError {
  return new AppError('privilege_escalation', 'Only an Owner makes somebody an Owner');
}

export function ownersChangeOwners(): AppError {
  return new AppError('forbidden', 'Only an Owner changes or removes an Owner');
}

export function alreadyMember(): AppError {
  return new AppError('conflict', 'Who has this address belongs to the tenant already');
}

export function alreadyInvited(): AppError {
  return new AppError('conflict', 'This address is invited already; send the invitation again, or revoke it');
}

export function accountMeanwhile(): AppError {
  return new AppError(
    'conflict',
    'There is an account of this address by now: accept again, with its password',
  );
}

export function teamFull(): AppError {
  return new AppError(
    'conflict',
    `A tenant has at most ${LIMITS.teamMembersMax} members and ${LIMITS.invitationsMax} open invitations`,
  );
}

export function tooManyMails(waitMs: number): AppError {
  return rateLimitExceeded('You have sent as many invitations today, or as many to this address, as may be', {
    retryAfterSeconds: waitMs / 1000,
  });
}

export function sentJustNow(waitMs: number): AppError {
  return rateLimitExceeded('The invitation was sent less than a minute ago', {
    retryAfterSeconds: waitMs / 1000,
  });
}
