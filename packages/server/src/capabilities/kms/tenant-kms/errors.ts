import { AppError } from '../../../kernel/errors.js';
import type { KmsFailure, KmsFailureReason } from '../providers/types.js';
import { failureText } from './failure-text.js';

/** Names the place; what stands there is told to nobody. */
export function staticCredentialsRejected(field: string): AppError {
  return new AppError(
    'static_credentials_rejected',
    `${field}: holds a long-lived credential; name a role, a service account or the variable of a secret instead`,
  );
}

export function kmsVerifyFailed(failure: KmsFailure): AppError {
  return ofFailure('kms_verify_failed', 'The key was not verified', failure, failure.reason);
}

export function kmsWrapFailed(failure: KmsFailure): AppError {
  return ofFailure('kms_wrap_failed', 'No new master key was wrapped', failure, failure.reason);
}

/** `bad_ciphertext` is not among the contract's reasons here: a key that answers and does not open is unusable. */
export function unsealFailed(failure: KmsFailure): AppError {
  const reason = failure.reason === 'bad_ciphertext' ? 'key_unusable' : failure.reason;
  return ofFailure('unseal_failed', 'The tenant stays sealed', failure, reason);
}

function ofFailure(
  type: 'kms_verify_failed' | 'kms_wrap_failed' | 'unseal_failed',
  what: string,
  failure: KmsFailure,
  reason: KmsFailureReason,
): AppError {
  return new AppError(type, `${what}: ${failureText(failure)}`, { extra: { reason }, cause: failure });
}

export function noKmsConfig(): AppError {
  return new AppError('no_kms_config', 'No KMS of your own is configured');
}

export function notSealed(): AppError {
  return new AppError('not_sealed', 'The tenant is not sealed');
}

const NAMED: Readonly<Record<'key' | 'identity', string>> = {
  key: 'kms_key_ref names a key',
  identity: 'config names a role, a service account, a variable or, for the managed identity, a vault',
};

export function ofAnother(what: 'key' | 'identity'): AppError {
  return new AppError('conflict', `${NAMED[what]} that is in use by another tenant or by the operator`);
}
