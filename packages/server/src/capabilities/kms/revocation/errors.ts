import { AppError } from '../../../kernel/errors.js';

export function versionActive(version: number): AppError {
  return new AppError(
    'version_active',
    `Version ${version} of the master key seals what is new and cannot be revoked; rotate first`,
  );
}

const WAY_OUT = 'To lose it for ever, send {"confirm": "<slug of the tenant>", "force": true}';

export function versionInUse(version: number, rows: number): AppError {
  return new AppError(
    'version_in_use',
    `${rows} stored secrets open with version ${version} of the master key alone. They are being brought under the active ` +
      `one: try again when GET /admin/tenant-kms/rewrap says completed. ${WAY_OUT}`,
  );
}

/** A write that was begun before the rotation may still store what this version has sealed. */
export function versionJustRetired(version: number, seconds: number): AppError {
  return new AppError(
    'version_in_use',
    `0 stored secrets open with version ${version} of the master key alone, but writes that were under way at the rotation ` +
      `may still use it: try again in ${seconds} s. ${WAY_OUT}`,
  );
}
