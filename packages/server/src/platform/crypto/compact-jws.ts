import { type JsonObject, readJsonObject } from '../../kernel/strict-json.js';
import { decodeBase64Url } from './jwk.js';

const PARTS = 3;

/** A compact JWS (RFC 7515 §7.1) taken apart; nothing of it is believed before its signature is good. */
export interface CompactJws {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly signature: Buffer;
  /** What the signature is of. */
  readonly signed: Buffer;
}

/** Which part is not as it must be; `parts`: there are not three. */
export type JwsFault = 'parts' | 'header' | 'payload' | 'signature';

/** The header as it was sent, of what has one. */
export function headerTextOf(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf('.')));
}

/**
 * Three parts, each base64url in its one spelling, the first two JSON objects that every reader reads alike; else what is
 * wrong. `knownHeader`: what its header was read as before. The caller has bounded the text.
 */
export function readCompactJws(text: string, knownHeader?: JsonObject): CompactJws | JwsFault {
  const parts = text.split('.', PARTS + 1);
  if (parts.length !== PARTS) return 'parts';
  const [head, body, tail] = parts as [string, string, string];
  const header = knownHeader ?? objectOf(head);
  if (header === null) return 'header';
  const payload = objectOf(body);
  if (payload === null) return 'payload';
  const signature = decodeBase64Url(tail);
  if (signature === null) return 'signature';
  return { header, payload, signature, signed: Buffer.from(`${head}.${body}`, 'latin1') };
}

function objectOf(part: string): JsonObject | null {
  const bytes = decodeBase64Url(part);
  return bytes && readJsonObject(bytes);
}
