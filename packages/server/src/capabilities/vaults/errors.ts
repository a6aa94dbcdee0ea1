import { AppError } from '../../kernel/errors.js';

export function vaultNameTaken(name: string): AppError {
  return new AppError('conflict', `A vault named "${name}" exists already`);
}

export function tooManyVaults(vaultsMax: number): AppError {
  return new AppError('conflict', `At most ${vaultsMax} vaults can exist in one mode`);
}

export function vaultHoldsTokens(name: string): AppError {
  return new AppError('conflict', `Vault "${name}" holds active tokens; delete them or send ?force=true`);
}

export function vaultDisabled(name: string): AppError {
  return new AppError('vault_disabled', `Vault "${name}" is disabled`);
}

export function tokenSpaceExhausted(name: string): AppError {
  return new AppError(
    'token_space_exhausted',
    `Vault "${name}" has no free token left for values that share the digits a token keeps`,
  );
}

export function tokenErased(): AppError {
  return new AppError('token_erased', 'The key version that encrypts this token is destroyed');
}

export function dualKeepsNoRow(name: string): AppError {
  return new AppError(
    'conflict',
    `Vault "${name}" has custody_mode dual and keeps no row of a token; destroy the key version to erase what it has encrypted`,
  );
}

/** Unknown, deleted, foreign, other mode: one text for all. */
export function tokenNotFound(): AppError {
  return new AppError('token_not_found', 'A vault token of this call was not found');
}

export function tokenAmbiguous(): AppError {
  return new AppError(
    'template_error',
    'A vault token of this call stands in more than one vault; write {{ token: vault.token }}',
  );
}

export function vaultPermissionMissing(permission: string, vaultName: string): AppError {
  return new AppError('forbidden', `Missing permission ${permission} for vault "${vaultName}"`);
}

export function tooLarge(field: string, bytesMax: number): AppError {
  return new AppError('payload_too_large', `${field}: must be at most ${bytesMax} bytes`);
}
