import { generateSync } from 'otplib';

const STEP_MS = 30_000;

/** What an app shows that others have written; `steps` before or after that moment. */
export function oneTimeCode(secret: string, nowMs: number, steps = 0): string {
  return generateSync({ secret, epoch: Math.floor((nowMs + steps * STEP_MS) / 1000) });
}
