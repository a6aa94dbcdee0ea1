import { AppError, validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';

export function malformedBody(problem: string): AppError {
  return validationError('body', `is not JSON that a field action of this route can read (${problem})`);
}

export function tooManyValues(): AppError {
  return validationError(
    'body',
    `holds more than ${LIMITS.fieldValuesMax} values that one field action of this route takes`,
  );
}

export function encodedBody(): AppError {
  return validationError(
    'Content-Encoding',
    'must not be sent: a field action of this route reads the body, which is to be sent as it is',
  );
}

export function loneSurrogate(): AppError {
  return validationError('body', 'holds a lone surrogate in a value that a field action of this route takes');
}

/** The route was written with a key or a vault that is gone. */
export function actionWithout(what: 'crypto key' | 'vault', name: string | null): AppError {
  const rule = name === null ? `has no key_name, which its ${what} needs` : `names no ${what} "${name}"`;
  return validationError('key_name', `a field action of this route ${rule}`);
}

export function decryptionFailed(): AppError {
  return new AppError('decryption_failed', 'A ciphertext does not open');
}

/** The upstream has answered, and its answer must not go on as it is: what is wrong is for who set the route up. */
export function answerNotActedOn(cause: AppError): AppError {
  return new AppError(
    'redaction_failed',
    `A field action of this route cannot be applied to the answer of the upstream: ${cause.publicMessage}`,
    { detail: `${cause.type}: ${cause.detail ?? cause.publicMessage}`, cause },
  );
}

export function answerTooLong(): AppError {
  return new AppError(
    'redaction_failed',
    `A field action of this route covers this answer, which is longer than ${LIMITS.redactionBodyBytesMax} bytes`,
  );
}
