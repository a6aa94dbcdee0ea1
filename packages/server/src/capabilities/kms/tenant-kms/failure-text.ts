import { type KmsFailure, SECRET_NOT_SET } from '../providers/types.js';

/** For the owner of the key: whose the refusal is, so that it is looked for in the right place (kms-admin.md §8.2). */
export function failureText(failure: KmsFailure): string {
  return `${causeOf(failure)} (${failure.reason}: ${failure.code})`;
}

function causeOf({ reason, stage, code }: KmsFailure): string {
  if (code === SECRET_NOT_SET)
    return 'The variable of config.client_secret_env_var is not set: whoever runs this server sets it there and starts it again';
  switch (reason) {
    case 'access_denied':
      return stage === 'identity'
        ? 'The identity provider refused: the server may not act as the role, service account or application'
        : 'The permission is missing: the identity may not encrypt and decrypt with the key';
    case 'key_unusable':
      return 'The key cannot be used: it is disabled, deleted, awaits deletion or is of the wrong kind';
    case 'unreachable':
      return stage === 'identity'
        ? 'The network: the identity provider gave no usable answer'
        : 'The network: the KMS gave no usable answer';
    case 'throttled':
      return 'The KMS takes no more calls at present';
    case 'bad_ciphertext':
      return 'The key does not open what it has wrapped: it is another key, or the bytes were changed';
  }
}
