import { AppError } from '../../kernel/errors.js';

export function keyVersionDestroyed(): AppError {
  return new AppError('key_version_destroyed', 'This version of the key is destroyed');
}

/** One text for every cause. */
export function decryptionFailed(): AppError {
  return new AppError('decryption_failed', 'A ciphertext does not open');
}

export function deletionNotAllowed(): AppError {
  return new AppError(
    'deletion_not_allowed',
    'Versions of this key are protected; PATCH the key with deletion_allowed: true first',
  );
}

export function versionActive(version: number): AppError {
  return new AppError(
    'version_active',
    `Version ${version} encrypts what is new and cannot be destroyed; rotate first`,
  );
}
