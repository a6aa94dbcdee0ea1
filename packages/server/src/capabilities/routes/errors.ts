import { AppError, notFound, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function routeNotFound(): AppError {
  return notFound('Route');
}

export function environmentNotFound(): AppError {
  return notFound('Environment');
}

export function otherEnvironment(): AppError {
  return validationError('environment_name', 'must be that of the path');
}

export function actionNotFound(): AppError {
  return notFound('Action');
}

export function sameNameOrSlug(): AppError {
  return new AppError('conflict', 'A route of this mode has that name or that slug');
}

export function tooManyRoutes(): AppError {
  return new AppError('conflict', `At most ${LIMITS.routesMax} routes can exist in one mode`);
}

export function tooManyActions(): AppError {
  return new AppError('conflict', `A route can have at most ${LIMITS.routeActionsMax} actions`);
}

export function baseStays(): AppError {
  return new AppError(
    'conflict',
    'This is the base environment of the route, from which the others inherit: delete the route instead',
  );
}

/** Others changed the route again and again while what this call writes was judged. */
export function changedMeanwhile(): AppError {
  return new AppError('conflict', 'This route was changed meanwhile; read it again and repeat the call');
}

export function unknownEnvironment(field: string, name: string): AppError {
  return validationError(field, `"${name}" is not an environment of this mode`);
}
