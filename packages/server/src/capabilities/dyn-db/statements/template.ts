import { assert } from '../../../kernel/assert.js';
import { type AppError, validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import { type Dialect, isWordPart, ScanProblem, scanSql, type Token } from './scanner.js';

/** The values of contract dyn-db.md §3.2; `name` is Vault's word for the user name. */
const PLACEHOLDERS = {
  username: 'username',
  name: 'username',
  password: 'password',
  expiration: 'expiration',
  database: 'database',
} as const;
type Placeholder = (typeof PLACEHOLDERS)[keyof typeof PLACEHOLDERS];

type Piece = string | { readonly placeholder: Placeholder };

/** Parsed SQL of a role: its statements in order, each to be sent alone. */
export interface SqlTemplate {
  readonly statements: readonly (readonly Piece[])[];
}

export interface CreationValues {
  readonly username: string;
  readonly password: Secret<string>;
  readonly expiresAtMs: number;
  readonly database: string | null;
}

export type RevocationValues = Pick<CreationValues, 'username' | 'database'>;

/** `validation_error` of `creation_sql`, which must make a user that can log in. */
export function parseCreation(sql: string, dialect: Dialect): SqlTemplate {
  const parsed = parse('creation_sql', sql, dialect);
  requirePlaceholder('creation_sql', parsed, 'username');
  requirePlaceholder('creation_sql', parsed, 'password');
  return parsed;
}

/** `validation_error` of `revocation_sql`, which is run when the password is long forgotten. */
export function parseRevocation(sql: string, dialect: Dialect): SqlTemplate {
  const parsed = parse('revocation_sql', sql, dialect);
  requirePlaceholder('revocation_sql', parsed, 'username');
  for (const unknown of ['password', 'expiration'] as const) {
    if (uses(parsed, unknown)) {
      throw validationError('revocation_sql', `must not use {{${unknown}}}: it is not known at revocation`);
    }
  }
  return parsed;
}

function requirePlaceholder(field: string, template: SqlTemplate, name: Placeholder): void {
  if (!uses(template, name)) throw validationError(field, `must contain {{${name}}}`);
}

function uses(template: SqlTemplate, name: Placeholder): boolean {
  return template.statements.some((pieces) =>
    pieces.some((piece) => typeof piece !== 'string' && piece.placeholder === name),
  );
}

function parse(field: string, sql: string, dialect: Dialect): SqlTemplate {
  if (Buffer.byteLength(sql) > LIMITS.roleStatementsBytesMax) {
    throw validationError(field, `must be at most ${LIMITS.roleStatementsBytesMax} bytes`);
  }
  if (hasControlCharacter(sql)) {
    throw validationError(field, 'must be text without control characters');
  }
  try {
    const statements = splitStatements(sql, scanSql(sql, dialect)).filter(
      ({ tokens }) => !isBlank(sql, tokens),
    );
    if (statements.length === 0) throw new ScanProblem('must contain a statement');
    if (statements.length > LIMITS.roleStatementsMax) {
      throw new ScanProblem(`must contain at most ${LIMITS.roleStatementsMax} statements`);
    }
    for (const { tokens } of statements) refuseStatement(firstWord(sql, tokens), dialect);
    return { statements: statements.map(({ tokens }) => piecesOf(sql, tokens)) };
  } catch (error) {
    if (error instanceof ScanProblem) throw validationError(field, error.message);
    throw error;
  }
}

/** Tabs and line ends aside: what they mean differs from server to server, and none has a use. Half a character neither. */
function hasControlCharacter(text: string): boolean {
  if (/\p{Cs}/u.test(text)) return true;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]!;
    if ((char < ' ' && !'\t\n\r'.includes(char)) || char === '\u007f') return true;
  }
  return false;
}

interface Statement {
  readonly text: string;
  readonly tokens: readonly Token[];
}

/** Joined with `;` they are the text again. */
export function splitStatements(sql: string, tokens: readonly Token[]): readonly Statement[] {
  const statements: Statement[] = [];
  let first = 0;
  let start = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'semicolon') continue;
    statements.push({ text: sql.slice(start, token.start), tokens: tokens.slice(first, index) });
    first = index + 1;
    start = token.end;
  }
  statements.push({ text: sql.slice(start), tokens: tokens.slice(first) });
  return statements;
}

function isBlank(sql: string, tokens: readonly Token[]): boolean {
  return tokens.every(
    ({ kind, start, end }) => kind === 'comment' || (kind === 'code' && sql.slice(start, end).trim() === ''),
  );
}

function firstWord(sql: string, tokens: readonly Token[]): string {
  const code = tokens
    .filter(({ kind }) => kind === 'code')
    .map(({ start, end }) => sql.slice(start, end).trim())
    .find((text) => text !== '');
  let end = 0;
  while (isWordPart(code?.[end])) end += 1;
  return (code ?? '').slice(0, end).toUpperCase();
}

const TRANSACTION_WORDS = new Set([
  ...['BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'SAVEPOINT', 'RELEASE', 'PREPARE'],
]);

function refuseStatement(word: string, dialect: Dialect): void {
  // An unfinished user would be left behind where the statements of a creation were not one transaction.
  if (dialect === 'postgres' && TRANSACTION_WORDS.has(word)) {
    throw new ScanProblem(`must not contain ${word}: the statements are run in one transaction`);
  }
  if (dialect === 'mysql' && word === 'DELIMITER') {
    throw new ScanProblem('must not contain DELIMITER: it is a command of the mysql client');
  }
}

function piecesOf(sql: string, tokens: readonly Token[]): Piece[] {
  const pieces: Piece[] = [];
  let literal = '';
  const flush = () => {
    if (literal !== '') pieces.push(literal);
    literal = '';
  };
  for (const token of tokens) {
    let at = token.start;
    for (;;) {
      const open = sql.indexOf('{{', at);
      if (open === -1 || open >= token.end) break;
      const { name, end } = readPlaceholder(sql, open, token);
      literal += sql.slice(at, open);
      flush();
      pieces.push({ placeholder: name });
      at = end;
    }
    literal += sql.slice(at, token.end);
  }
  flush();
  return pieces;
}

function readPlaceholder(sql: string, open: number, token: Token) {
  const close = sql.indexOf('}}', open);
  const word = close === -1 || close >= token.end ? '' : sql.slice(open + 2, close).trim();
  if (!Object.hasOwn(PLACEHOLDERS, word)) {
    throw new ScanProblem(
      'contains an unknown placeholder: {{username}}, {{password}}, {{expiration}} and {{database}} are known; for two braces in SQL put a space between them',
    );
  }
  const name = PLACEHOLDERS[word as keyof typeof PLACEHOLDERS];
  const end = close + 2;
  refusePlace(name, token, sql[open - 1], sql[end]);
  return { name, end };
}

/** A placeholder stands only where no value of its character set can change what is around it. */
function refusePlace(
  name: Placeholder,
  { kind }: Token,
  before: string | undefined,
  after: string | undefined,
): void {
  if (kind === 'comment') throw new ScanProblem('must not have a placeholder in a comment');
  if (kind === 'unicode') throw new ScanProblem("must not have a placeholder in a U&'' string");
  if (before === '\\') throw new ScanProblem('must not have a backslash before a placeholder');
  if (before === '$' || after === '$') throw new ScanProblem('must not have a $ beside a placeholder');
  if (kind === 'code') {
    // Elsewhere the server's message of a syntax error would repeat the value; a database may be called `user`.
    if (name !== 'username') throw new ScanProblem(`must have {{${name}}} in quotes`);
    if (joinsWord(before) || joinsWord(after)) {
      throw new ScanProblem('must have {{username}} in quotes where it is part of a word');
    }
  }
  if (kind === 'identifier' && (name === 'password' || name === 'expiration')) {
    throw new ScanProblem(`must have {{${name}}} in a string, not in a quoted name`);
  }
}

/** Whether a value beside it would become part of the same token. */
function joinsWord(char: string | undefined): boolean {
  return char !== undefined && (isWordPart(char) || '\'"`&{}\\'.includes(char));
}

/** Longest first part `kc_user_` and what the longest engine takes. */
const USERNAME = /^kc_user_[a-z0-9_]{1,72}$/;
const PASSWORD = /^[A-Za-z0-9]{1,128}$/;
/** Nothing that ends a quote, escapes, or begins a comment inside a dollar quote. */
const DATABASE = /^(?!.*--)[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

/** Each statement to be sent alone. A value outside its character set is refused, never escaped. */
export function renderCreation(template: SqlTemplate, values: CreationValues): readonly Secret<string>[] {
  const password = values.password.reveal();
  assert(PASSWORD.test(password), 'a generated password has other characters');
  return render(template, 'creation_sql', {
    ...revocationTexts(values),
    password,
    expiration: expirationText(values.expiresAtMs),
  });
}

export function renderRevocation(template: SqlTemplate, values: RevocationValues): readonly Secret<string>[] {
  return render(template, 'revocation_sql', revocationTexts(values));
}

function revocationTexts({ username, database }: RevocationValues) {
  assert(USERNAME.test(username), 'a generated user name has other characters');
  return { username, database };
}

function render(
  { statements }: SqlTemplate,
  field: string,
  values: { readonly [Name in Placeholder]?: string | null },
): readonly Secret<string>[] {
  const text = (piece: Piece): string => {
    if (typeof piece === 'string') return piece;
    const value = values[piece.placeholder];
    if (piece.placeholder === 'database' && !DATABASE.test(value ?? '')) throw unusableDatabase(field);
    assert(typeof value === 'string', 'a placeholder has no value');
    return value;
  };
  return statements.map((pieces) => new Secret(pieces.map(text).join('')));
}

function unusableDatabase(field: string): AppError {
  return validationError(
    'database_name',
    `must be 1 to 64 of A-Z a-z 0-9 _ . - without "--" where ${field} uses {{database}}`,
  );
}

/** `YYYY-MM-DD HH:MM:SS+00`, never before the lease's own end. */
export function expirationText(expiresAtMs: number): string {
  const iso = new Date(Math.ceil(expiresAtMs / 1000) * 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}+00`;
}
