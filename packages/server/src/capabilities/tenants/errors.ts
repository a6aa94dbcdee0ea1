import { AppError, permissionMissing, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function tooManyTenants(): AppError {
  return new AppError('conflict', `A user belongs to at most ${LIMITS.tenantsPerUserMax} tenants`);
}

export function ownerOnly(): AppError {
  return permissionMissing('tenant:delete');
}

export function slugNotTyped(): AppError {
  return validationError('slug', 'must be the slug of the tenant that is to be deleted');
}

export function operatorsTenant(): AppError {
  return new AppError(
    'conflict',
    'The tenant of the first start cannot be deleted: its Owners are the operator of this installation',
  );
}
