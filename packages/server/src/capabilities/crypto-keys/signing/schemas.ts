import { z } from 'zod';
import { validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { RSA_PADDINGS, SIGNATURE_HASHES } from '../../../platform/crypto/signatures.js';
import { batchOf, oneOf, refusedItem } from '../cipher-schemas.js';
import { tooLarge } from '../errors.js';
import { decodeBase64 } from '../formats.js';
import { JWT_ALGORITHMS } from './jwt-algorithms.js';
import { JWT_ERRORS } from './jwt-errors.js';
import type { JwtInput } from './jwt-to-sign.js';
import type { JwtToVerify, VerifiedJwt } from './jwt-verification.js';
import type {
  ReadMessage,
  Signed,
  SignedJwt,
  SignedWebhook,
  SignInput,
  Verified,
  VerifyInput,
  WebhookInput,
} from './service.js';
import { WEBHOOK_FORMATS } from './webhook-formats.js';

/** Of what is judged and not taken: longer is refused unlooked at, what is shorter is judged, whatever it is. */
const JUDGED_CHARACTERS_MAX = 512 * 1024;
const LEEWAY_SECONDS_MAX = 300;
const AUDIENCES_MAX = 50;
const EXPECTED_CHARACTERS_MAX = 2_048;
/** The last of the year 9999. */
const TIMESTAMP_SECONDS_MAX = 253_402_300_799;

const dataFields = {
  data: z.string().optional().describe('What is signed, as text, in UTF-8; may be empty.'),
  data_b64: z.string().optional().describe('As bytes in base64, standard or URL-safe. One of both is sent.'),
  rsa_padding: z
    .enum(RSA_PADDINGS, `must be ${RSA_PADDINGS.join(' or ')}`)
    .optional()
    .describe('Of RSA keys; default `pss`, with a salt as long as the hash.'),
  hash: z
    .enum(SIGNATURE_HASHES, `must be one of ${SIGNATURE_HASHES.join(', ')}`)
    .optional()
    .describe('Of RSA keys; default `sha256`.'),
};
const signature = z
  .string()
  .max(JUDGED_CHARACTERS_MAX)
  .describe(
    '`knoxcall:v<version>:<base64>`, or the base64 alone, which is tried against the 20 newest versions.',
  );

export const signBody = z.strictObject({ ...dataFields, batch: batchOf(z.strictObject(dataFields)) });
export const verifyBody = z.strictObject({
  ...dataFields,
  signature: signature.optional(),
  batch: batchOf(z.strictObject({ ...dataFields, signature })),
});

type DataFields = z.output<z.ZodObject<typeof dataFields>>;

export function signInputOf(fields: DataFields): SignInput {
  const { data, data_b64, rsa_padding: padding, hash } = fields;
  return { read: readerOf(['data', data], ['data_b64', data_b64]), options: { padding, hash } };
}

export function verifyInputOf(fields: DataFields & { readonly signature?: string | undefined }): VerifyInput {
  if (fields.signature === undefined) throw validationError('signature', 'is required');
  return { ...signInputOf(fields), signature: fields.signature };
}

type Field = readonly [name: string, value: string | undefined];

/** Reads, when it is called, the one that is given. */
function readerOf([textName, text]: Field, [base64Name, base64]: Field): ReadMessage {
  return () => {
    if (text !== undefined && base64 === undefined) return bounded(textName, Buffer.from(text, 'utf8'));
    if (text !== undefined || base64 === undefined) throw oneOf(textName, base64Name);
    const bytes = decodeBase64(base64);
    if (bytes === null) throw validationError(base64Name, 'must be base64');
    return bounded(base64Name, bytes);
  };
}

function bounded(field: string, bytes: Buffer): Buffer {
  if (bytes.length > LIMITS.cryptoPlaintextBytesMax) throw tooLarge(field, LIMITS.cryptoPlaintextBytesMax);
  return bytes;
}

const members = z.record(z.string(), z.unknown());

export const jwtBody = z
  .strictObject({
    claims: members.describe('Signed as they are: none is added, `iat` and `exp` neither. At most 64 KiB.'),
    header_overrides: members
      .default({})
      .describe(
        'Further members of the header, at most 4 KiB; `alg` of an RSA key may be `PS256` for `RS256`. Not `kid`, ' +
          '`crit`, `b64`, `enc`, `zip`, nor what names a key: `jwk`, `jku`, `x5u`, `x5c`.',
      ),
  })
  .transform(({ claims, header_overrides }): JwtInput => ({ claims, headerOverrides: header_overrides }));

const AUDIENCES_RULE = `must be a string, or an array of 1 to ${AUDIENCES_MAX} strings, of at most ${EXPECTED_CHARACTERS_MAX} characters`;
const expectedText = z.string().max(EXPECTED_CHARACTERS_MAX);

export const verifyJwtBody = z
  .strictObject({
    token: z.string().max(JUDGED_CHARACTERS_MAX).describe('A JWT in the compact form.'),
    expected: z
      .strictObject({
        iss: expectedText.optional().describe('What the claim has to be.'),
        aud: z
          .union([expectedText, z.array(expectedText).min(1).max(AUDIENCES_MAX)], AUDIENCES_RULE)
          .optional()
          .describe('The claim has to be it, or to hold it; of several one of them.'),
        sub: expectedText.optional().describe('What the claim has to be.'),
      })
      .default({}),
    leeway_seconds: z
      .number()
      .int()
      .min(0)
      .max(LEEWAY_SECONDS_MAX)
      .default(0)
      .describe('By how much `exp` and `nbf` may be missed, for clocks that differ.'),
  })
  .transform(
    ({ token, expected, leeway_seconds }): JwtToVerify => ({
      token,
      expected,
      leewaySeconds: leeway_seconds,
    }),
  );

export const webhookSignBody = z
  .strictObject({
    payload: z.string().optional().describe('The raw body of the webhook, as text, in UTF-8.'),
    payload_b64: z.string().optional().describe('As bytes in base64. One of both is sent.'),
    timestamp_seconds: z
      .number()
      .int()
      .min(0)
      .max(TIMESTAMP_SECONDS_MAX)
      .optional()
      .describe('Seconds since 1970; default now.'),
    format: z.enum(WEBHOOK_FORMATS).default('stripe').describe('How it is signed and written.'),
  })
  .transform(
    ({ payload, payload_b64, timestamp_seconds, format }): WebhookInput => ({
      read: readerOf(['payload', payload], ['payload_b64', payload_b64]),
      format,
      timestampSeconds: timestamp_seconds ?? null,
    }),
  );

const keyVersion = z.number().int().positive().describe('The version that signed.');
const signedAnswer = z
  .object({
    signature: z.string().describe('`knoxcall:v<N>:<base64>`; ECDSA in DER.'),
    key_version: keyVersion,
  })
  .meta({ id: 'Signature' });
export const signResponse = z.union([
  signedAnswer,
  z.object({ batch: z.array(z.union([signedAnswer, refusedItem])) }).meta({ id: 'SignatureBatch' }),
]);

const verifiedAnswer = z
  .object({
    valid: z.boolean(),
    key_version: keyVersion
      .nullable()
      .describe('The version that signed, or that the signature names; null where there is none.'),
  })
  .meta({ id: 'SignatureJudgement' });
export const verifyResponse = z.union([
  verifiedAnswer,
  z
    .object({ batch: z.array(z.union([verifiedAnswer, refusedItem])) })
    .meta({ id: 'SignatureJudgementBatch' }),
]);

const algorithm = z.enum(JWT_ALGORITHMS);

export const jwtResponse = z
  .object({ token: z.string(), key_version: keyVersion, alg: algorithm })
  .meta({ id: 'SignedJwt' });

export const verifyJwtResponse = z
  .object({
    valid: z.boolean(),
    claims: members.optional().describe('Of a valid token alone.'),
    key_version: keyVersion.optional(),
    alg: algorithm.optional(),
    error: z.enum(JWT_ERRORS).optional().describe('Why the token is not valid.'),
    kid: z.string().optional().describe('As the token says it.'),
  })
  .meta({ id: 'JwtJudgement' });

export const webhookSignResponse = z
  .object({
    signature_header: z
      .string()
      .describe('The value of the header; in the format `slack` the time is a header of its own.'),
    timestamp_seconds: z.number().int().describe('What the receiver compares with its clock.'),
    key_version: keyVersion,
    format: z.enum(WEBHOOK_FORMATS),
  })
  .meta({ id: 'SignedWebhook' });

export function signedWire({ signature, version }: Signed): z.input<typeof signedAnswer> {
  return { signature, key_version: version };
}

export function verifiedWire({ isValid, version }: Verified): z.input<typeof verifiedAnswer> {
  return { valid: isValid, key_version: version };
}

export function jwtWire({ token, version, alg }: SignedJwt): z.input<typeof jwtResponse> {
  return { token, key_version: version, alg };
}

export function verifiedJwtWire(verified: VerifiedJwt): z.input<typeof verifyJwtResponse> {
  const { error, claims, version, alg, kid } = verified;
  return {
    valid: error === null,
    ...(claims && { claims }),
    ...(version !== undefined && { key_version: version }),
    ...(alg && { alg }),
    ...(error && { error }),
    ...(kid !== undefined && { kid }),
  };
}

export function webhookWire(signed: SignedWebhook): z.input<typeof webhookSignResponse> {
  const { signatureHeader, timestampSeconds, version, format } = signed;
  return {
    signature_header: signatureHeader,
    timestamp_seconds: timestampSeconds,
    key_version: version,
    format,
  };
}
