import { AppError, validationErrors } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { DeliveryState } from './tables.js';

export function tooManyWebhooks(): AppError {
  return new AppError('conflict', `At most ${LIMITS.webhooksMax} webhooks can exist in one mode`);
}

/** contract README §10. */
export function credentialsDueAgain(missing: readonly string[]): AppError {
  const rule = `is due again with another url: ${missing.join(', ')}`;
  return validationErrors(
    new Map([
      ['url', [`goes elsewhere, so that ${missing.join(', ')} must be sent again in the same call`]],
      ...missing.map((field): [string, string[]] => [field, [rule]]),
    ]),
  );
}

export function isNoDeadLetter(state: DeliveryState | null): AppError {
  const reason =
    state === null
      ? 'This row is of no delivery that is kept'
      : state === 'delivered'
        ? 'The delivery has arrived'
        : 'The delivery is still being tried';
  return new AppError('conflict', `${reason}; only what was given up can be replayed`);
}

export function tooManyWaiting(): AppError {
  return new AppError(
    'conflict',
    `At most ${LIMITS.webhookWaitingMax} deliveries of a webhook can wait: replay once some have arrived`,
  );
}

export function mayShowMore(): AppError {
  return new AppError(
    'forbidden',
    'url: what this webhook has not delivered may show more than you may read (audit_log details, log:read_identity): make another webhook, or ask somebody who may read them to move this one',
  );
}
