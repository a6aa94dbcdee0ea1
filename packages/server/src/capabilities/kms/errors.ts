import { AppError } from '../../kernel/errors.js';
import type { KmsFailure } from './providers/types.js';

/** With no key there is nothing else to answer (kms-admin.md §3.4). */
export function tenantSealed(detail: string, cause?: unknown): AppError {
  return new AppError('tenant_sealed', "The tenant's encryption key is not available", {
    retryAfterSeconds: 30,
    detail,
    cause,
  });
}

export function noRewrap(): AppError {
  return new AppError('no_rewrap', 'No rotation has had anything to bring under a new master key');
}

/** Stops the start: with a wrong root key every stored value would look broken. */
export class RootKeyMismatch extends Error {
  override readonly name = 'RootKeyMismatch';
  constructor(
    text = 'The root key is not the one that the stored data was wrapped with. ' +
      'Put back the former MASTER_KEY_B64 or root key file; nothing was changed.',
  ) {
    super(text);
  }
}

/** Some rows are wrapped by one key and some by the other, so both are needed once more. */
export function rootKeyChangeUnfinished(): RootKeyMismatch {
  return new RootKeyMismatch(
    'A change of the root key has begun and not finished. Start once with the new root key and ' +
      'the former one in MASTER_KEY_B64_PREVIOUS, or the other way round to go back.',
  );
}

/** Stops the start: with half a configuration keys would be wrapped otherwise than the operator believes. */
export class OperatorKmsRefused extends Error {
  override readonly name = 'OperatorKmsRefused';
}

export function operatorKmsMissing(): OperatorKmsRefused {
  return new OperatorKmsRefused(
    "KNOX_KMS_OPERATOR_PROVIDER: master keys are wrapped by the operator's KMS, and no variable says which it is. " +
      'Set KNOX_KMS_OPERATOR_PROVIDER, KNOX_KMS_OPERATOR_KEY_REF and KNOX_KMS_OPERATOR_CONFIG again, or KNOX_KMS_OPERATOR_PROVIDER=none ' +
      'to have the root key wrap them; nothing was changed.',
  );
}

export function operatorKmsFailed(cause: KmsFailure): OperatorKmsRefused {
  return new OperatorKmsRefused(
    `KNOX_KMS_OPERATOR_KEY_REF: the key does not wrap and unwrap: ${cause.message}`,
  );
}

export function rootKeyNotChanged(): RootKeyMismatch {
  return new RootKeyMismatch(
    'MASTER_KEY_B64_PREVIOUS is the root key in use. To change the root key, set the new one as MASTER_KEY_B64 ' +
      'or write it to the root key file; else unset MASTER_KEY_B64_PREVIOUS.',
  );
}
