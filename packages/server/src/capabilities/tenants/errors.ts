import { AppError, permissionMissing, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function tooManyTenants(): AppError {
  return new AppError('conflict', `A user belongs to at most ${LIMITS.tenantsPerUserMax} tenants`);
}

export function noTenantsForStrangers(): AppError {
  return new AppError(
    'forbidden',
    'Signup is off on this server: who belongs to no tenant is invited to one, and makes none',
  );
}

export function ownerOnly(): AppError {
  return permissionMissing('tenant:delete');
}

export function stepUpOfAnother(): AppError {
  return new AppError(
    'forbidden',
    'The step-up has to be of the tenant that is deleted: name it in X-Tenant-ID, there and here',
  );
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
