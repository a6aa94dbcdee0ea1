import { AppError, validationError, validationErrors } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function tooManyAlerts(): AppError {
  return new AppError('conflict', `At most ${LIMITS.alertsMax} alerts can exist in one mode`);
}

export function changedMeanwhile(): AppError {
  return new AppError('conflict', 'Another call has changed the channels of the alert at the same time');
}

export function channelFieldProblem(field: string, rule: string): AppError {
  return validationError(field, rule);
}

/** contract README §10. */
export function channelCredentialsDue(field: string): AppError {
  return validationErrors(
    new Map([
      [`${field}.url`, ['goes elsewhere, so that secret must be sent again in the same call']],
      [`${field}.secret`, ['is due again with another url']],
    ]),
  );
}

export function smsNotConfigured(field: string): AppError {
  return validationError(field, 'sms: the operator has configured no provider (KNOX_TWILIO_*)');
}
