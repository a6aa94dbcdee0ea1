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

export function keyNameTaken(name: string): AppError {
  return new AppError('conflict', `There is a crypto key named ${name} already`);
}

export function tooManyKeys(keysMax: number): AppError {
  return new AppError('conflict', `There are ${keysMax} crypto keys, which is the most there can be`);
}

export function tooManyVersions(versionsMax: number): AppError {
  return new AppError(
    'conflict',
    `This key has had ${versionsMax} versions, which is the most there can be; create another key`,
  );
}

export function tooLarge(field: string, bytesMax: number): AppError {
  return new AppError('payload_too_large', `${field} is above the limit of ${bytesMax} bytes`);
}

/** Only where the rotation that comes long before has failed each time. */
export function encryptionsExhausted(version: number): AppError {
  return new AppError('conflict', `Version ${version} has encrypted as often as is safe; rotate the key`);
}
