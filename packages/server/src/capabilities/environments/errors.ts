import { AppError, notFound } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function environmentNotFound(): AppError {
  return notFound('Environment');
}

export function sameName(name: string): AppError {
  return new AppError('conflict', `An environment "${name}" exists in this mode`);
}

export function tooManyEnvironments(): AppError {
  return new AppError('conflict', `At most ${LIMITS.environmentsMax} environments can exist in one mode`);
}

/** There is always one (dataplane.md §4). */
export function defaultStays(): AppError {
  return new AppError('conflict', 'This is the default environment: make another one the default first');
}

export function stillHeld(by: string): AppError {
  return new AppError('conflict', `This environment is the base environment of ${by}`);
}
