import { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';

/** What every authenticator app takes (RFC 6238 with SHA-1: apps ignore other algorithms, and HMAC stands on none of its faults). */
const SETTINGS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
const SECRET_BYTES = 20;
const ISSUER = 'KnoxCall';
/** RFC 6238 §5.2, §6: clocks differ, and people type. */
const DRIFT_STEPS = 1;

/** What the user's app is set up with: shown once. */
export interface TotpSetup {
  readonly secret: Secret<string>;
  readonly uri: Secret<string>;
}

/** Loaded by a server whose users have code apps. */
const library = () => import('otpauth');

export function newTotpSecret(random: Random): Secret<Buffer> {
  return new Secret(random.bytes(SECRET_BYTES));
}

/** The step whose code that is, also with the space that apps show in it; null where it is of none near this moment. */
export async function totpStepOf(
  secret: Secret<Buffer>,
  code: string,
  nowMs: number,
): Promise<number | null> {
  const totp = await totpOf(secret);
  const steps = totp.validate({ token: code.replace(/\s/g, ''), timestamp: nowMs, window: DRIFT_STEPS });
  return steps === null ? null : totp.counter({ timestamp: nowMs }) + steps;
}

/** What is typed into an app, and what it reads from a QR code. */
export async function totpSetupOf(secret: Secret<Buffer>, account: string): Promise<TotpSetup> {
  const totp = await totpOf(secret, account);
  return { secret: new Secret(totp.secret.base32), uri: new Secret(totp.toString()) };
}

async function totpOf(secret: Secret<Buffer>, label?: string) {
  const { Secret: OtpSecret, TOTP } = await library();
  // A buffer of Node may lie in a pool, so the library gets bytes of their own.
  const bytes = new OtpSecret({ buffer: new Uint8Array(secret.reveal()).buffer });
  return new TOTP({ ...SETTINGS, issuer: ISSUER, secret: bytes, ...(label !== undefined && { label }) });
}
