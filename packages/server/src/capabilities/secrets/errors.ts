import { AppError, notFound, validationError, validationErrors } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { SecretType } from './tables.js';
import type { SecretReference } from './types.js';

export function secretNotFound(): AppError {
  return notFound('Secret');
}

export function sameName(name: string): AppError {
  return new AppError('conflict', `A secret "${name}" exists in this mode; case does not tell names apart`);
}

export function tooManySecrets(): AppError {
  return new AppError('conflict', `At most ${LIMITS.secretsMax} secrets can exist in one mode`);
}

export function stillUsed(by: string): AppError {
  return new AppError('conflict', `This secret is used by ${by}`);
}

export function unknownEnvironment(field: string, name: string): AppError {
  return validationError(field, `"${name}" is not an environment of this mode`);
}

export function notOfType(field: string, type: SecretType): AppError {
  return validationError(field, `is not of secrets of the type ${type}`);
}

/** What was stored goes to hosts that it did not go to before: who says so knows it (contract README §10). */
export function valueIsDue(field: string, rule: string): AppError {
  return validationErrors(
    new Map([
      ['allowed_hosts', [`lets the stored value go to further hosts: send ${field} with it`]],
      [field, [rule]],
    ]),
  );
}

/** A name stands in the caller's own placeholder; nothing of a secret does. */
export function placeholderNotFound({ by, text }: SecretReference): AppError {
  const [form, what] = by === 'id' ? ['secret_id', 'id'] : ['secret', 'name'];
  return new AppError(
    'secret_not_found',
    `A placeholder {{${form}:…}} names no secret of this tenant and mode by its ${what} "${text}"`,
  );
}

export function secretExpired(name: string, expiredAt: string): AppError {
  return new AppError(
    'secret_expired',
    `The secret "${name}" expired at ${expiredAt}, and its expiry is strict`,
  );
}

export function unboundSecret(name: string): AppError {
  return new AppError(
    'egress_blocked',
    `The secret "${name}" has no allowed_hosts: routes alone may send it, since the caller of /v1/proxy chooses the host`,
    { reason: 'secret_unbound' },
  );
}

export function hostNotBound(name: string, host: string): AppError {
  return new AppError('egress_blocked', `The allowed_hosts of the secret "${name}" do not cover ${host}`, {
    reason: 'secret_host',
  });
}

export function plainHost(name: string, host: string): AppError {
  return new AppError(
    'egress_blocked',
    `The secret "${name}" is bound to hosts, so that it is sent over TLS only: the target at ${host} is http:`,
    { reason: 'secret_plain' },
  );
}

/** It is shown to an upstream, and its key goes nowhere: no placeholder stands for it. */
export function hostsOfCertificate(): AppError {
  return validationError('allowed_hosts', 'is not of certificates, which no placeholder sends anywhere');
}

export function certificateInText(name: string): AppError {
  return validationError('secret', `"${name}" is a certificate, which no placeholder can stand for`);
}

/** Of who set it up; whoever calls has named none. */
export function certificateNotFound(): AppError {
  return new AppError('secret_not_found', 'The certificate that is set for the upstream is not there');
}

export function notACertificate(name: string): AppError {
  return validationError('secret', `"${name}" is not a certificate`);
}

export function notASigningSecret(name: string): AppError {
  return validationError('secret', `"${name}" is not of the type string, which signs requests`);
}

export function noPrivateKey(name: string): AppError {
  return validationError('secret', `"${name}" has no certificate with a private key`);
}
