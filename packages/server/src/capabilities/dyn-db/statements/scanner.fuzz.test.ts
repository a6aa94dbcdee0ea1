import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import { fuzz } from '../../../testing/fuzz.js';
import { type Dialect, ScanProblem, scanSql, type TokenKind } from './scanner.js';
import { parseCreation, renderCreation, splitStatements } from './template.js';

const dialect = fc.constantFrom<Dialect>('postgres', 'mysql');
const noise = fc.constantFrom(
  ...["'", '"', '`', '\\', ';', '--', '-', '#', '/*', '*/', '/', '*', '$', '$$', '$a$', '\n', ' ', 'E', 'e'],
  ...["E'", "U&'", 'U&"', "N'", '{{username}}', '{{password}}', '{{', '}}', '1', '1e', 'word', 'é', '@', '.'],
);
const anySql = fc.array(noise, { maxLength: 30 }).map((parts) => parts.join(''));

/** The servers' lexers as one expression each, read from their sources: slow, and written apart from the scanner. */
const ORACLE: Record<Dialect, RegExp> = {
  postgres:
    /(?<unicode>[Uu]&(?:'(?:[^']|'')*'|"(?:[^"]|"")*"))|(?<string>[Ee]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*')|(?<identifier>"(?:[^"]|"")*")|(?<dollar>(\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?\5)|(?<comment>--[^\n]*)|(?<block>\/\*)|(?<semicolon>;)|(?<broken>[Ee]'|[Uu]&['"]|['"]|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)|(?<code>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S])/uy,
  mysql:
    /(?<string>'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*")|(?<identifier>`(?:[^`]|``)*`)|(?<comment>#[^\n]*|--(?=\s|$)[^\n]*|\/\*[\s\S]*?\*\/)|(?<semicolon>;)|(?<broken>['"`]|\/\*)|(?<code>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S])/uy,
};

interface Cut {
  readonly kind: TokenKind;
  readonly text: string;
}

/** Null where it is broken; the scanner may refuse more than that. */
function oracle(text: string, name: Dialect): Cut[] | null {
  const cuts: Cut[] = [];
  for (let at = 0; at < text.length; ) {
    ORACLE[name].lastIndex = at;
    const groups = ORACLE[name].exec(text)?.groups ?? {};
    let [kind, part] = Object.entries(groups).find(([, value]) => value !== undefined) as [string, string];
    if (kind === 'broken') return null;
    if (kind === 'block') {
      const end = endOfNested(text, at);
      if (end === null) return null;
      [kind, part] = ['comment', text.slice(at, end)];
    }
    const last = cuts.at(-1);
    if (kind === 'code' && last?.kind === 'code') cuts[cuts.length - 1] = { kind, text: last.text + part };
    else cuts.push({ kind: kind as TokenKind, text: part });
    at += part.length;
  }
  return cuts;
}

function endOfNested(text: string, at: number): number | null {
  if (text.startsWith('*/', at)) return at + 2;
  if (at >= text.length) return null;
  if (!text.startsWith('/*', at)) return endOfNested(text, at + 1);
  for (let inner = at + 2; inner < text.length; ) {
    if (text.startsWith('*/', inner)) return inner + 2;
    if (!text.startsWith('/*', inner)) inner += 1;
    else {
      const end = endOfNested(text, inner);
      if (end === null) return null;
      inner = end;
    }
  }
  return null;
}

function scanned(text: string, name: Dialect): Cut[] | null {
  try {
    return scanSql(text, name).map(({ kind, start, end }) => ({ kind, text: text.slice(start, end) }));
  } catch (error) {
    expect(error).toBeInstanceOf(ScanProblem);
    return null;
  }
}

describe('any text', () => {
  test('what the scanner takes is cut as the servers cut it, and is all there', () => {
    let taken = 0;
    fc.assert(
      fc.property(anySql, dialect, (text, name) => {
        const cuts = scanned(text, name);
        if (cuts === null) return;
        taken += 1;
        expect(cuts.map((cut) => cut.text).join('')).toBe(text);
        expect(cuts).toEqual(oracle(text, name));
        const parts = splitStatements(text, scanSql(text, name)).map((statement) => statement.text);
        expect(parts.join(';')).toBe(text);
      }),
      fuzz(5_000),
    );
    expect(taken).toBeGreaterThan(500);
  });

  test('what is refused is broken, or one of the readings that differ between versions', () => {
    const differs = /\d[\w.é]*&?['"`$]|\/\*M?!|\$[A-Za-z_é]*\$|['"]\s*(--[^\n]*\n\s*)*'/u;
    fc.assert(
      fc.property(anySql, dialect, (text, name) => {
        if (scanned(text, name) === null && !differs.test(text)) expect(oracle(text, name)).toBe(null);
      }),
      fuzz(3_000),
    );
  });

  test('a rendered statement is cut where its template was', () => {
    let rendered = 0;
    const values = {
      username: 'kc_user_e_1',
      password: new Secret('E1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'),
      expiresAtMs: 0,
      database: 'U',
    };
    const placed = fc.constantFrom(
      ...["'{{password}}'", '{{username}}', '"{{username}}"', '$a$ {{password}} $a$', "E'{{ name }}'"],
      ...["'{{database}}'", "'{{expiration}}'", ';', ' ', '@', '&', '--\n', 'E', '$', '1'],
    );
    const sql = fc.array(fc.oneof(placed, placed, noise), { maxLength: 12 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(sql, dialect, (text, name) => {
        let template: ReturnType<typeof parseCreation>;
        try {
          template = parseCreation(text, name);
        } catch {
          return;
        }
        rendered += 1;
        for (const [index, statement] of renderCreation(template, values).entries()) {
          const before = template.statements[index]!.map((piece) =>
            typeof piece === 'string' ? piece : 'x',
          ).join('');
          const kinds = (of: string) => scanned(of, name)?.map((cut) => cut.kind);
          expect(kinds(statement.reveal())).toEqual(kinds(before));
        }
      }),
      fuzz(5_000),
    );
    expect(rendered).toBeGreaterThan(50);
  });
});

describe('statements put together from parts', () => {
  const inside = fc.array(fc.constantFrom(';', 'a', '--', '/', ' ', '#', '\n', '$', 'é'), { maxLength: 6 });
  const text = inside.map((parts) => parts.join(''));
  const part = (name: Dialect) =>
    fc.oneof(
      text.map((body) => `'${body}'`),
      text.map((body) => `'${body}''${body}'`),
      text.map((body) => (name === 'postgres' ? `E'${body}\\'${body}'` : `'${body}\\'${body}'`)),
      text.map((body) => (name === 'postgres' ? `"${body}""'"` : `\`${body}\`\`'\``)),
      text.map((body) => (name === 'postgres' ? `$t$${body}'$$$t$` : `"${body}'\\""`)),
      text.map((body) => `/*${body.replaceAll('/', '')}*/`),
      text.map((body) => `-- ${body.replaceAll('\n', '')}\n`),
      fc.constantFrom('SELECT', 'word', '(', ')', '=', ',', '-'),
    );
  const statements = (name: Dialect) =>
    fc.array(
      fc.array(part(name), { minLength: 1, maxLength: 5 }).map((parts) => parts.join(' ')),
      { minLength: 1, maxLength: 5 },
    );

  test.each<Dialect>(['postgres', 'mysql'])('%s: a ; in a quote or a comment never splits', (name) => {
    fc.assert(
      fc.property(statements(name), (parts) => {
        const sql = parts.join(';');
        let cut: readonly { readonly text: string }[];
        try {
          cut = splitStatements(sql, scanSql(sql, name));
        } catch (error) {
          // An escape string with a string behind it on the next line.
          expect(String(error)).toContain('one piece');
          return;
        }
        expect(cut.map((statement) => statement.text)).toEqual(parts);
      }),
      fuzz(2_000),
    );
  });
});
