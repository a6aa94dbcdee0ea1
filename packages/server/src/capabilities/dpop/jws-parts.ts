import { isUtf8 } from 'node:buffer';
import { decodeBase64Url } from '../../platform/crypto/jwk.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A compact JWS (RFC 7515 §7.1), taken apart and not yet believed. */
export interface JwsParts {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly signature: Buffer;
  /** What the signature is of. */
  readonly signed: Buffer;
}

/** The header as it was sent, of what has one. */
export function headerTextOf(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf('.')));
}

/** Or the rule that the text breaks. `knownHeader`: what its header was read as before. */
export function readJws(text: string, knownHeader: JsonObject | undefined): JwsParts | string {
  const parts = text.split('.', 4);
  const [headerText, payloadText, signatureText] = parts;
  if (parts.length !== 3 || headerText === undefined || payloadText === undefined)
    return 'must be three parts with dots between them';
  const header = knownHeader ?? readObject(headerText);
  if (header === null) return 'the header must be a JSON object in base64url';
  const payload = readObject(payloadText);
  if (payload === null) return 'the payload must be a JSON object in base64url';
  const signature = decodeBase64Url(signatureText ?? '');
  if (signature === null) return 'the signature must be base64url';
  const signed = Buffer.from(text.slice(0, headerText.length + 1 + payloadText.length), 'latin1');
  return { header, payload, signature, signed };
}

function readObject(text: string): JsonObject | null {
  const bytes = decodeBase64Url(text);
  if (bytes === null || !isUtf8(bytes)) return null;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}
