import type { Secret } from '../../kernel/secret.js';
import { type BodyKind, refuseExpressions } from './body-kind.js';
import { Operands } from './expressions.js';
import { type JsonTemplate, parseJsonBody, renderJsonBody } from './json-body.js';
import { parseQuery, type QueryTemplate, renderQuery } from './query.js';

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
  render(values: readonly Secret<string>[]): CallParts;
}

/** Query first, then body. Null = nothing to render: forward both as they are. */
export function parseCall(parts: CallParts, kind: BodyKind, contentType: string | null): CallTemplate | null {
  const operands = new Operands();
  const query: QueryTemplate | null = parseQuery(parts.query, operands);
  let body: JsonTemplate | null = null;
  if (parts.body !== null) {
    if (kind === 'json') body = parseJsonBody(parts.body, operands);
    else if (kind !== 'opaque') refuseExpressions(kind, parts.body, contentType ?? kind);
  }
  if (query === null && body === null) return null;
  return {
    operands: operands.list,
    render: (values) => ({
      query: query === null ? parts.query : renderQuery(query, values),
      body: body === null ? parts.body : renderJsonBody(body, values),
    }),
  };
}
