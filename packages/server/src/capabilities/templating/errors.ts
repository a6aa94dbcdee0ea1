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

export function tooManyPortables(): AppError {
  return templateError(
    `A call may seal and open at most ${LIMITS.portablesMax} values, body and query together`,
  );
}

export function malformedJson(problem: string): AppError {
  return validationError(
    'body',
    `holds an expression but is not JSON that can be rendered (${problem}); an expression stands inside a string`,
  );
}

export function notTemplated(contentType: string): AppError {
  return validationError(
    'Content-Type',
    `expressions are rendered in JSON bodies only, and this body of type ${contentType} holds one; ` +
      'send JSON, or X-Knox-Proxy-Mode: transparent to forward it as it is',
  );
}
