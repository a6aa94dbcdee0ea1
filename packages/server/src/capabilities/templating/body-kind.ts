/** How a body is rendered (dataplane §2.1); `opaque` is streamed and never looked at. */
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
