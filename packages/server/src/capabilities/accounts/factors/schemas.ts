import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { validationError } from '../../../kernel/errors.js';
import { Secret } from '../../../kernel/secret.js';
import { instantText } from '../../../platform/http/pagination.js';
import { assertion, assertionOf, ceremonyOptions } from '../passkeys/schemas.js';
import { cookieSwitch, presentPassword } from '../schemas.js';
import type { StepUpProof } from '../step-up/service.js';
import type { Enrolled } from './store.js';
import { FACTOR_METHODS } from './types.js';
import type { FactorProof } from './verify.js';

const CODE_CHARACTERS_MAX = 64;
const MFA_TOKEN_CHARACTERS_MAX = 200;

const code = z
  .string()
  .trim()
  .min(1)
  .max(CODE_CHARACTERS_MAX)
  .describe('Six digits of a code app (`totp`), or one of the recovery codes (`recovery`).');

export const secondFactorBody = z.object({
  mfa_token: z.string().min(1).max(MFA_TOKEN_CHARACTERS_MAX).describe('From the sign-in.'),
  method: z.enum(['totp', 'recovery', 'webauthn']),
  code: code.optional(),
  response: assertion.optional(),
  cookie: cookieSwitch,
});

export const stepUpBody = z.object({
  method: z.enum(['password', ...FACTOR_METHODS]),
  password: presentPassword.optional().describe('With `password`, where no second factor is enrolled.'),
  code: code.optional(),
  response: assertion.optional(),
});

export const stepUpResponse = z.object({
  step_up_token: z.string().describe('For the header `X-KnoxCall-StepUp`; of this session and tenant alone.'),
  expires_at: instantText,
});

const stepUpMethods = z
  .array(z.enum(['password', ...FACTOR_METHODS]))
  .describe('By which of them `POST /admin/auth/step-up` takes a proof.');

export const stepUpOptionsResponse = z.object({
  methods: stepUpMethods,
  webauthn: ceremonyOptions.nullable().describe('Null where the user has no passkey.'),
});

export const confirmTotpBody = z.object({
  code: z
    .string()
    .trim()
    .regex(/^\d{3} ?\d{3}$/, { error: 'must be six digits' })
    .describe('What the app shows now.'),
});

export const totpSetUpResponse = z.object({
  secret: z.string().describe('Base32, for typing; shown once.'),
  otpauth_uri: z.string().describe('For a QR code.'),
});

const recoveryCodes = z.array(z.string()).describe('Each is good once; shown this once.');

export const enrolledResponse = z.object({
  enrolled: z.literal(true),
  recovery_codes: recoveryCodes.nullable().describe('Null: those of before are good.'),
});

export const recoveryCodesResponse = z.object({ recovery_codes: recoveryCodes });

export const factorDeletedResponse = z.object({ deleted: z.literal(true) });

export const factorsResponse = z.object({
  totp: z.object({ enrolled: z.boolean(), enrolled_at: instantText.nullable() }),
  passkeys: z.number().describe('How many.'),
  recovery_codes_left: z.number(),
  step_up_methods: stepUpMethods,
});

export function factorsWire(
  { totpSinceMs, passkeys, recoveryCodes: left }: Enrolled,
  methods: readonly string[],
) {
  return {
    totp: { enrolled: totpSinceMs !== null, enrolled_at: totpSinceMs === null ? null : isoTime(totpSinceMs) },
    passkeys,
    recovery_codes_left: left,
    step_up_methods: methods,
  };
}

interface SentProof<Method> {
  readonly method: Method;
  readonly code?: string | undefined;
  readonly response?: z.output<typeof assertion> | undefined;
}

export function proofOf({ method, code: given, response }: SentProof<FactorProof['method']>): FactorProof {
  if (method === 'webauthn') return { method, response: assertionOf(due('response', response, method)) };
  return { method, code: due('code', given, method) };
}

export function stepUpProofOf(body: z.output<typeof stepUpBody>): StepUpProof {
  const { method, password } = body;
  if (method !== 'password') return proofOf({ ...body, method });
  return { method, password: new Secret(due('password', password, method)) };
}

function due<Value>(name: string, value: Value | undefined, method: string): Value {
  if (value === undefined) throw validationError(name, `is required with the method ${method}`);
  return value;
}
