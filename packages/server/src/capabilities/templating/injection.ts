import type { Secret } from '../../kernel/secret.js';
import type { JsonObject } from '../../kernel/strict-json.js';
import type { SecretReference } from '../secrets/index.js';
import { Operands, type Pieces, parseText, renderPieces } from './expressions.js';

/** What a route injects, its placeholders found once (dataplane §2.2). */
export interface Injection {
  readonly isEmpty: boolean;
  /** One an occurrence, headers first. */
  readonly references: readonly SecretReference[];
  /** In lower case, with hyphens for underscores: many upstreams read both as one. */
  readonly headerNames: ReadonlySet<string>;
  /** Flat name, value list. */
  renderHeaders(values: readonly Secret<string>[]): string[];
  /** Null where there is none. */
  renderBody: ((values: readonly Secret<string>[]) => JsonObject) | null;
}

type Render<T> = (values: readonly Secret<string>[]) => T;

export function createInjection(headers: ReadonlyMap<string, string>, body: JsonObject | null): Injection {
  const operands = new Operands(null, 'injected');
  const parsed = [...headers].map(([name, text]) => ({ name, pieces: piecesOf(text, operands) }));
  const renderBody = body === null ? null : (renderOf(body, operands) as Render<JsonObject>);
  return {
    isEmpty: headers.size === 0 && body === null,
    references: operands.secrets,
    headerNames: new Set(parsed.map(({ name }) => name.toLowerCase().replaceAll('_', '-'))),
    renderHeaders(values) {
      const flat: string[] = [];
      for (const { name, pieces } of parsed) flat.push(name, renderPieces(pieces, values));
      return flat;
    },
    renderBody,
  };
}

function piecesOf(text: string, operands: Operands): Pieces {
  return parseText(text, operands) ?? [text];
}

/** Texts of members are rendered, their names are not. */
function renderOf(value: unknown, operands: Operands): Render<unknown> {
  if (typeof value === 'string') {
    const pieces = parseText(value, operands);
    return pieces === null ? () => value : (values) => renderPieces(pieces, values);
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => renderOf(item, operands));
    return (values) => items.map((render) => render(values));
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) => [name, renderOf(member, operands)] as const,
    );
    // From entries: a member may be called `__proto__`.
    return (values) => Object.fromEntries(members.map(([name, render]) => [name, render(values)]));
  }
  return () => value;
}
