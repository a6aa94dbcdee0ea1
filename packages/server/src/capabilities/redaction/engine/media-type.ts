import type { TextEncoding } from './byte-text.js';

export interface MediaType {
  /** Lower-case `type/subtype`; empty when the answer names none. */
  readonly essence: string;
  readonly charset: string | null;
}

const KNOWN_MAX = 256;
const KNOWN_CHARACTERS_MAX = 128;
/** Peers send the same few types with every answer. */
const known = new Map<string, MediaType>();

export function parseMediaType(value = ''): MediaType {
  const kept = known.get(value);
  if (kept) return kept;
  const parsed = parse(value);
  if (known.size < KNOWN_MAX && value.length <= KNOWN_CHARACTERS_MAX) known.set(value, parsed);
  return parsed;
}

function parse(value: string): MediaType {
  const [essence = '', ...parameters] = value.split(';');
  const charset = parameters
    // Trimmed first: two runs of spaces side by side take time by their square.
    .map((parameter) => /^charset\s*=\s*"?([^"\s]*)"?$/i.exec(parameter.trim())?.[1])
    .find((found) => found !== undefined);
  return { essence: essence.trim().toLowerCase(), charset: charset?.toLowerCase() ?? null };
}

/** `application/json`, `text/*`, any type with `*` + `/*`. */
export function matchesType(pattern: string, essence: string): boolean {
  if (pattern === '*/*' || pattern === essence) return true;
  return pattern.endsWith('/*') && essence.startsWith(pattern.slice(0, -1));
}

/** How a body is cut into what is inspected at once. */
export type BodyKind =
  | 'json'
  | 'event_stream'
  | 'json_lines'
  | 'json_sequence'
  | 'text'
  | 'unnamed'
  | 'binary';

const JSON_TYPES = new Set(['application/json', 'text/json', 'text/x-json', 'application/x-json']);
const JSON_LINES_TYPES = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonl',
  'application/jsonlines',
  'application/x-jsonlines',
  'application/x-json-stream',
  'application/stream+json',
]);
const BINARY_TYPES =
  /^(?:image|audio|video|font|model)\/|^application\/(?:octet-stream|pdf|wasm|cbor|msgpack|x-msgpack|protobuf|x-protobuf|grpc|zip|gzip|x-gzip|zstd|x-bzip2|x-tar|x-7z-compressed|x-rar-compressed|vnd\.rar|java-archive|vnd\.ms-|vnd\.openxmlformats-|vnd\.oasis\.opendocument\.|vnd\.apple\.|vnd\.google\.protobuf|vnd\.apache\.)/;

const WELL_FORMED = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+$/;

/** Unknown types are read as text: that changes no byte unless something is found. */
export function bodyKind(essence: string): BodyKind {
  if (essence === 'text/event-stream') return 'event_stream';
  if (JSON_LINES_TYPES.has(essence)) return 'json_lines';
  if (essence === 'application/json-seq' || essence.endsWith('+json-seq')) return 'json_sequence';
  if (JSON_TYPES.has(essence) || essence.endsWith('+json')) return 'json';
  // A type that is none (`application/json, text/html`, `json`) names as little as a missing one.
  if (!WELL_FORMED.test(essence)) return 'unnamed';
  if (essence.endsWith('+xml')) return 'text';
  return BINARY_TYPES.test(essence) ? 'binary' : 'text';
}

/** Null for character sets in which ASCII bytes may mean something else. */
export function textEncoding(charset: string | null): TextEncoding | null {
  if (charset === null || /^(?:utf-?8|us-ascii|ascii)$/.test(charset)) return 'utf-8';
  if (/^(?:iso-8859-\d{1,2}|latin-?1|windows-125\d)$/.test(charset)) return 'single-byte';
  return null;
}
