import { isUtf8 } from 'node:buffer';
import { notTemplated } from './errors.js';
import { holdsExpression } from './expressions.js';
import { decodeFormBytes } from './query.js';

/**
 * What may be done with a body (dataplane §2.1): `json` is rendered; `form` and `text` are looked at, so that an
 * expression in them is refused and never forwarded as it stands; `opaque` is streamed.
 */
export type BodyKind = 'json' | 'form' | 'text' | 'opaque';

const TEXTUAL = new Set([
  'application/xml',
  'application/javascript',
  'application/ecmascript',
  'application/graphql',
  'application/yaml',
  'application/x-yaml',
  'application/toml',
  'application/sql',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-seq',
  'application/json5',
  'application/csv',
]);

export function bodyKind(contentType: string | null, contentEncoding: string | null): BodyKind {
  if (contentEncoding !== null && contentEncoding.toLowerCase() !== 'identity') return 'opaque';
  if (contentType === null) return 'json';
  const parameters = contentType.indexOf(';');
  const type = (parameters === -1 ? contentType : contentType.slice(0, parameters)).trim().toLowerCase();
  if (type === '' || type === 'application/json' || type === 'text/json' || type.endsWith('+json'))
    return 'json';
  if (type === 'application/x-www-form-urlencoded') return 'form';
  if (type.startsWith('text/') || type.endsWith('+xml') || type.endsWith('+yaml') || TEXTUAL.has(type)) {
    return 'text';
  }
  return 'opaque';
}

/** Form and text templates are not built yet; forwarding the literal would look like success. */
export function refuseExpressions(kind: 'form' | 'text', bytes: Buffer, contentType: string): void {
  const text = kind === 'form' ? decodeFormBytes(bytes) : bytes;
  if (text.indexOf('{{') === -1 || (kind === 'text' && !isUtf8(text))) return;
  if (holdsExpression(text.toString('latin1'))) throw notTemplated(contentType);
}
