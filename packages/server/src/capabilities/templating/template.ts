import type { Secret } from '../../kernel/secret.js';
import type { Portable } from '../crypto-keys/index.js';
import type { SecretReference } from '../secrets/index.js';
import type { BodyKind } from './body-kind.js';
import type { EncryptedDocument } from './encrypted.js';
import { Operands, renderPieces } from './expressions.js';
import { parseJsonBody, renderJsonBody } from './json-body.js';
import { parsePairs, renderPairs } from './pairs.js';
import { parseTextBody } from './text-body.js';

export interface CallParts {
  /** Without its question mark. */
  readonly query: string;
  /** Null when there is none, or when it is streamed. */
  readonly body: Buffer | null;
}

/** The expressions of one call: what they refer to, and how to put the values in. */
export interface CallTemplate {
  /** Token operands in order of appearance, one an occurrence. */
  readonly operands: readonly string[];
  /** JSON texts to seal, and ciphertexts to open, in order of appearance. */
  readonly seals: readonly string[];
  readonly opens: readonly Portable[];
  /** Placeholders of secrets in order of appearance, one an occurrence. */
  readonly secrets: readonly SecretReference[];
  render(
    tokens: readonly Secret<string>[],
    portables?: PortableValues,
    secrets?: readonly Secret<string>[],
  ): CallParts;
}

/** What became of `seals` and `opens`; an opened one is a JSON text. */
export interface PortableValues {
  readonly sealed: readonly Secret<string>[];
  readonly opened: readonly Secret<string>[];
}

const NO_PORTABLES: PortableValues = { sealed: [], opened: [] };

type RenderBody = (values: readonly Secret<string>[]) => Buffer;

function parseBody(
  bytes: Buffer,
  kind: BodyKind,
  contentType: string,
  operands: Operands,
): RenderBody | null {
  switch (kind) {
    case 'json': {
      const template = parseJsonBody(bytes, operands);
      return template === null ? null : (values) => renderJsonBody(template, values);
    }
    case 'form': {
      const template = parsePairs(bytes.toString('latin1'), 'form', operands);
      return template === null ? null : (values) => Buffer.from(renderPairs(template, values), 'latin1');
    }
    case 'text': {
      const pieces = parseTextBody(bytes, contentType, operands);
      return pieces === null ? null : (values) => Buffer.from(renderPieces(pieces, values));
    }
    case 'opaque':
      return null;
  }
}

/** Query first, then body. Null = nothing to render: forward both as they are. */
export function parseCall(
  parts: CallParts,
  kind: BodyKind,
  contentType: string | null,
  document: EncryptedDocument | null = null,
): CallTemplate | null {
  return templateOf(parts, kind, contentType, new Operands(document));
}

/** Of a call of a route: its body alone is rendered, and knows secrets and variables (dataplane §2.2). */
export function parseRouteBody(
  body: Buffer,
  kind: BodyKind,
  contentType: string | null,
  variables: ReadonlyMap<string, string>,
): CallTemplate | null {
  return templateOf({ query: '', body }, kind, contentType, new Operands(null, 'route', variables));
}

function templateOf(
  parts: CallParts,
  kind: BodyKind,
  contentType: string | null,
  operands: Operands,
): CallTemplate | null {
  const query = parsePairs(parts.query, 'query', operands);
  const body = parts.body === null ? null : parseBody(parts.body, kind, contentType ?? '', operands);
  if (query === null && body === null) return null;
  return {
    operands: operands.list,
    seals: operands.seals,
    opens: operands.opens,
    secrets: operands.secrets,
    render(tokens, { sealed, opened } = NO_PORTABLES, secrets = []) {
      const known = { tokens, sealed, opened, secrets };
      const values = operands.slots.map(({ of, index }) => known[of][index]!);
      return {
        query: query === null ? parts.query : renderPairs(query, values),
        body: body === null ? parts.body : body(values),
      };
    },
  };
}
