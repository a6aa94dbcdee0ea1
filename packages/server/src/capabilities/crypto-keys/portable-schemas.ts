import { z } from 'zod';
import { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import type { Inspected } from './inspect.js';
import type { SealedDocument, SealingBundle } from './portable-documents.js';

/** Any JSON value, which no value is made of: what is there is one of these. */
const json = z.instanceof(JsonText, { error: 'is required' });

export const roleField = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .optional()
  .describe('Bound into the key of each value: what is sealed with a role opens with the same one only.');
const keyName = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .optional()
  .describe('Name of an `ecdh-p256` key; absent: `kc-default`, which the first use makes.');

export const encryptBody = z.object({
  data: json.describe(
    `Any JSON. Each text, number and truth value, at most ${LIMITS.portableLeavesMax}, becomes a \`kc:\` text; null and what is one already stay.`,
  ),
  key: keyName,
  role: roleField,
});
export const decryptBody = z.object({
  data: json.describe('Any JSON. Each text that is a `kc:` text as a whole is opened; all else stays.'),
  role: roleField,
});
export const inspectBody = z.object({ value: json.describe('Any JSON.') });
export const bundleQuery = z.object({ key: keyName });

export const encryptedResponse = z
  .object({
    ciphertext: json.describe('The data in its shape.'),
    key: z.string().describe('Name of the key.'),
    key_version: z.number().int().positive(),
  })
  .meta({ id: 'EncryptedData' });

export const decryptedResponse = z
  .object({ plaintext: json.describe('The data in its shape; of sealed bytes their base64.') })
  .meta({ id: 'DecryptedData' });

/** Its names are those of the vendor's SDK. */
export const inspectedResponse = z
  .object({
    encrypted: z.boolean(),
    scheme: z.literal('kc').optional(),
    version: z.literal(1).optional().describe('Of the form.'),
    datatype: z
      .enum(['s', 'n', 'b', 'j', 'x'])
      .optional()
      .describe('Text, number, truth value, JSON, bytes.'),
    key_ref: z
      .object({ tenantId: z.string(), appKeyId: z.string(), keyVersion: z.number().int() })
      .optional()
      .describe('As the text says it: proven only where it opens.'),
    fingerprint: z.string().optional().describe('SHA-256 of the text, in hex.'),
  })
  .meta({ id: 'InspectedValue' });

export const bundleResponse = z
  .object({
    public_key_raw: z.string().describe('Uncompressed point of P-256, 65 bytes, as base64url.'),
    key_ref: z.object({ tenant_id: z.string(), app_key_id: z.string(), key_version: z.number().int() }),
  })
  .meta({ id: 'SealingBundle' });

export function encryptedWire({
  ciphertext,
  key,
  version,
}: SealedDocument): z.input<typeof encryptedResponse> {
  return { ciphertext, key: key.name, key_version: version };
}

export function decryptedWire(plaintext: Secret<JsonText>): z.input<typeof decryptedResponse> {
  return { plaintext: plaintext.reveal() };
}

export function inspectedWire(inspected: Inspected | null): z.input<typeof inspectedResponse> {
  if (inspected === null) return { encrypted: false };
  const { datatype, keyRef, fingerprint } = inspected;
  return {
    encrypted: true,
    scheme: 'kc',
    version: 1,
    datatype,
    key_ref: { tenantId: keyRef.tenantId, appKeyId: keyRef.keyId, keyVersion: keyRef.version },
    fingerprint,
  };
}

export function bundleWire({ point, keyRef }: SealingBundle): z.input<typeof bundleResponse> {
  return {
    public_key_raw: point.toString('base64url'),
    key_ref: { tenant_id: keyRef.tenantId, app_key_id: keyRef.keyId, key_version: keyRef.version },
  };
}
