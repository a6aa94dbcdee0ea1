import { AppError, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

/** The text never quotes what was found: it may be part of a value. */
export function templateError(why: string): AppError {
  return new AppError('template_error', why);
}

export function tooManyTokens(): AppError {
  return new AppError(
    'too_many_tokens',
    `A call may hold at most ${LIMITS.tokenReferencesMax} token references, body and query together`,
  );
}

export function tooManySecrets(): AppError {
  return templateError(
    `A call may hold at most ${LIMITS.secretReferencesMax} secret placeholders, body and query together`,
  );
}

export function tooManyPortables(): AppError {
  return templateError(
    `A call may seal and open at most ${LIMITS.portablesMax} values, body and query together`,
  );
}

export function readsTooMuch(): AppError {
  return templateError(
    `The encrypted expressions of a call may read at most ${LIMITS.templatedBodyBytesMax} characters, body and query together`,
  );
}

export function malformedJson(problem: string): AppError {
  return validationError(
    'body',
    `holds an expression but is not JSON that can be rendered (${problem}); an expression stands inside a string`,
  );
}

export function notUtf8Text(): AppError {
  return validationError(
    'Content-Type',
    'names a charset other than UTF-8 for a text body that holds an expression; ' +
      'send UTF-8, or X-Knox-Proxy-Mode: transparent to forward it as it is',
  );
}

export function unknownVariable(key: string): AppError {
  return templateError(`The environment has no variable ${JSON.stringify(key.slice(0, 100))}`);
}
