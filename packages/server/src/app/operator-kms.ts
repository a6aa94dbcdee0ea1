import {
  KMS_POLICY_KEY,
  type OperatorKey,
  type OperatorKmsChange,
  readCloudKey,
} from '../capabilities/kms/index.js';
import type { Config } from '../platform/config/config.js';
import { StartRefused } from '../platform/config/private-files.js';
import type { Logger } from '../platform/log/logger.js';
import type { KmsSettings } from './services-deps.js';

/** Throws `StartRefused` where the key is not written as it must be, naming the variable. */
export function kmsSettings({ kms }: Pick<Config, 'kms'>): KmsSettings {
  return {
    operatorKey: operatorKeyOf(kms.operator),
    endpoints: kms.endpoints,
    identities: kms.identities,
    azureWorkload: kms.azureWorkload,
    hasSharedKeys: kms.hasSharedKeys,
    secretOf: (variable) => kms.secrets.get(variable),
  };
}

function operatorKeyOf(operator: Config['kms']['operator']): OperatorKey {
  if (operator === null || operator === 'given_up') return operator;
  const { provider, keyRef: kmsKeyRef, config } = operator;
  const reading = readCloudKey({ provider, kmsKeyRef, config }, 'operator');
  if (reading.kind === 'key') return reading.key;
  const problems =
    reading.kind === 'static_credential'
      ? [[reading.field, 'holds a long-lived credential; name a role or the variable of a secret instead']]
      : Object.entries(reading.fields).map(([field, rules]) => [field, rules.join(', ')]);
  throw new StartRefused(
    problems
      .map(([field, rule]) =>
        field === 'kms_key_ref'
          ? `KNOX_KMS_OPERATOR_KEY_REF ${rule}`
          : `KNOX_KMS_OPERATOR_CONFIG: ${field?.replace(/^config\.?/, '') || 'the whole'} ${rule}`,
      )
      .join('\n'),
  );
}

/**
 * KNOX_ALLOW_PRIVATE_UPSTREAMS and the operator's endpoints of KNOX_KMS_*, which may be private ones. These are opened
 * for calls to a KMS alone, never for what a tenant asks for.
 */
export function privateUpstreams({ kms, egress }: Pick<Config, 'kms' | 'egress'>): string {
  const origins = Object.values(kms.endpoints).filter((origin) => origin !== null);
  const entries = origins.map((origin) => {
    const { hostname, port } = new URL(origin);
    return `${hostname}:${port || '443'}@${KMS_POLICY_KEY}`;
  });
  return [egress.allowPrivateUpstreams, ...entries].filter((entry) => entry !== '').join(',');
}

export function logOperatorKms(change: OperatorKmsChange | null, logger: Logger): void {
  if (change === null) return;
  const { wrappedBy, rewrapped, unreadable, failure } = change;
  const wrapper = wrappedBy === 'global' ? 'the root key' : "the operator's KMS";
  if (failure) {
    logger.error(
      { reason: failure.message },
      "the operator's KMS fails: tenants whose keys are not open yet are sealed until it does",
    );
  }
  if (unreadable.length > 0) {
    logger.error(
      { count: unreadable.length, first: unreadable[0] },
      `master keys that could not be opened are not wrapped by ${wrapper}`,
    );
  }
  if (rewrapped > 0) logger.info({ rewrapped }, `master keys are wrapped by ${wrapper} from now on`);
}
