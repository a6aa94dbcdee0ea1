import { Secret as OtpSecret, TOTP } from 'otpauth';
import { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';

/** What every authenticator app takes (RFC 6238 with SHA-1: apps ignore other algorithms, and HMAC stands on none of its faults). */
const SETTINGS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
const SECRET_BYTES = 20;
const ISSUER = 'KnoxCall';
/** RFC 6238 §5.2, §6: clocks differ, and people type. */
const DRIFT_STEPS = 1;

export function newTotpSecret(random: Random): Secret<Buffer> {
  return new Secret(random.bytes(SECRET_BYTES));
}

/** The step whose code that is, also with the space that apps show in it; null where it is of none near this moment. */
export function totpStepOf(secret: Secret<Buffer>, code: string, nowMs: number): number | null {
  const totp = new TOTP({ ...SETTINGS, secret: secretOf(secret) });
  const steps = totp.validate({ token: code.replace(/\s/g, ''), timestamp: nowMs, window: DRIFT_STEPS });
  return steps === null ? null : totp.counter({ timestamp: nowMs }) + steps;
}

export function base32Of(secret: Secret<Buffer>): string {
  return secretOf(secret).base32;
}

/** For the QR code that an app reads. */
export function totpUriOf(secret: Secret<Buffer>, account: string): string {
  return new TOTP({ ...SETTINGS, issuer: ISSUER, label: account, secret: secretOf(secret) }).toString();
}

function secretOf(secret: Secret<Buffer>): OtpSecret {
  // A buffer of Node may lie in a pool, so the library gets bytes of their own.
  return new OtpSecret({ buffer: new Uint8Array(secret.reveal()).buffer });
}
