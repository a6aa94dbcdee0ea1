import { z } from 'zod';
import { validationError, validationErrors } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import type { Outcome } from './batch.js';
import { tooLarge } from './errors.js';
import { decodeBase64 } from './formats.js';
import type { Decrypted, Encrypted, ReadPlaintext } from './transit.js';

const BASE64_CHARACTERS_MAX = Math.ceil(LIMITS.cryptoPlaintextBytesMax / 3) * 4;

const plaintextFields = {
  plaintext: z.string().optional().describe('As text, encrypted in UTF-8; may be empty.'),
  plaintext_b64: z
    .string()
    .optional()
    .describe('As bytes in base64, standard or URL-safe. One of both is sent.'),
};
const ciphertext = z
  .string()
  .describe('As it was answered, `knoxcall:v<version>:<base64>`; `vault:v…` in the same order of bytes too.')
  .meta({ examples: ['knoxcall:v1:'] });
/** One of several: each answered by itself. */
export const batchOf = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item)
    .min(1)
    .max(LIMITS.cryptoBatchMax)
    .optional()
    .describe(`1 to ${LIMITS.cryptoBatchMax} at once, in place of the other fields.`);

export const encryptBody = z.strictObject({
  ...plaintextFields,
  batch: batchOf(z.strictObject(plaintextFields)),
});
export const decryptBody = z.strictObject({
  ciphertext: ciphertext.optional(),
  batch: batchOf(z.strictObject({ ciphertext })),
});
export const rewrapBody = z.strictObject({ ciphertext });
export const decryptQuery = z.object({
  format: z
    .enum(['utf8'], 'must be utf8')
    .optional()
    .describe('`utf8`: the plaintext as text too; 400 where it is none.'),
});

const keyVersion = z.number().int().positive().describe('Of the ciphertext.');
const encrypted = z.object({ ciphertext: z.string(), key_version: keyVersion });
const decrypted = z.object({
  plaintext_b64: z.string(),
  plaintext: z
    .string()
    .nullable()
    .optional()
    .describe('With `format=utf8`, and always under `/admin`, where it is null for what is not UTF-8.'),
  key_version: keyVersion,
});
/** Also of signatures. */
export const refusedItem = z
  .object({ error: z.object({ type: z.string(), message: z.string() }) })
  .describe('What would have been the error of this one alone.');

export const encryptedResponse = encrypted.meta({ id: 'Encrypted' });
export const encryptResponse = z.union([
  encryptedResponse,
  z.object({ batch: z.array(z.union([encrypted, refusedItem])) }).meta({ id: 'EncryptedBatch' }),
]);
export const decryptResponse = z.union([
  decrypted.meta({ id: 'Decrypted' }),
  z.object({ batch: z.array(z.union([decrypted, refusedItem])) }).meta({ id: 'DecryptedBatch' }),
]);

interface PlaintextFields {
  readonly plaintext?: string | undefined;
  readonly plaintext_b64?: string | undefined;
}

/** Reads, when it is called, the one that is given. */
export function readerOf({ plaintext, plaintext_b64: base64 }: PlaintextFields): ReadPlaintext {
  return () => {
    if ((plaintext === undefined) === (base64 === undefined)) throw oneOf('plaintext', 'plaintext_b64');
    if (plaintext !== undefined) return bounded('plaintext', Buffer.from(plaintext, 'utf8'));
    return bounded('plaintext_b64', bytesOf('plaintext_b64', base64 as string));
  };
}

function bytesOf(field: string, text: string): Buffer {
  if (text.length > BASE64_CHARACTERS_MAX) throw tooLarge(field, LIMITS.cryptoPlaintextBytesMax);
  const bytes = decodeBase64(text);
  if (bytes === null) throw validationError(field, 'must be base64');
  return bytes;
}

function bounded(field: string, bytes: Buffer): Secret<Buffer> {
  if (bytes.length > LIMITS.cryptoPlaintextBytesMax) throw tooLarge(field, LIMITS.cryptoPlaintextBytesMax);
  return new Secret(bytes);
}

/** Two fields of which exactly one is due. */
export function oneOf(one: string, other: string) {
  const rules = [`exactly one of ${one} and ${other} must be sent`];
  return validationErrors(
    new Map([
      [one, rules],
      [other, rules],
    ]),
  );
}

/** A batch stands alone in its body. */
export function batchIn<Item>(body: {
  readonly batch?: readonly Item[] | undefined;
}): readonly Item[] | null {
  const { batch, ...rest } = body;
  if (batch === undefined) return null;
  const other = Object.keys(rest)[0];
  if (other !== undefined) throw validationError(other, 'must not stand beside batch');
  return batch;
}

export function encryptedWire({ ciphertext, keyVersion }: Encrypted) {
  return { ciphertext, key_version: keyVersion };
}

export function decryptedWire({ plaintext, text, keyVersion }: Decrypted, showsText: boolean) {
  return {
    plaintext_b64: plaintext.reveal().toString('base64'),
    ...(showsText && { plaintext: text?.reveal() ?? null }),
    key_version: keyVersion,
  };
}

export function outcomesWire<Reply, Wire>(outcomes: readonly Outcome<Reply>[], wire: (reply: Reply) => Wire) {
  return {
    batch: outcomes.map((outcome) => ('reply' in outcome ? wire(outcome.reply) : outcome)),
  };
}
