import { AppError, validationErrors } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export const tooManyServers = (): AppError =>
  new AppError('conflict', `At most ${LIMITS.egressServersMax} egress servers can exist in one mode`);

export const nameTaken = (): AppError =>
  new AppError('conflict', 'An egress server of this name exists already');

export const stillUsed = (by: string): AppError =>
  new AppError('conflict', `The egress server is used by ${by}`);

export const changedMeanwhile = (): AppError =>
  new AppError('conflict', 'The egress server was changed by another call meanwhile; read it and try again');

/** contract README §10. */
export function passwordDueAgain(fields: readonly string[]): AppError {
  return validationErrors(
    new Map([
      ...fields.map((field): [string, string[]] => [
        field,
        ['leads elsewhere, so that password must be sent again in the same call'],
      ]),
      ['password', [`is due again with another ${fields.join(', ')}`]],
    ]),
  );
}
