import { z } from 'zod';
import { validationError } from '../../../../kernel/errors.js';
import type { TemplateName } from '../engine.js';

export const ADMIN_DATABASE = 'admin';
const TEXT_BYTES_MAX = 16_384;
const ROLES_MAX = 50;
const ROLE_NAME_CHARACTERS_MAX = 128;
/** MongoDB's own rule for the names of databases: at most 63 bytes, and none of these. */
const DATABASE_NAME_BYTES_MAX = 63;
const NOT_IN_DATABASE_NAME = /[\u0000-\u001f\u007f/\\. "$*<>:|?]/;
const DATABASE_PLACEHOLDER = /^\{\{ *database *\}\}$/;
const MONGO_ROLES: Record<TemplateName, string> = { readonly: 'read', readwrite: 'readWrite' };

/** Where a user is made and what it may do, without placeholders: what `createUser` is sent. */
export interface MongoCreation {
  readonly db: string;
  readonly roles: readonly { readonly role: string; readonly db: string }[];
}

const databaseName = z.string().superRefine((name, context) => {
  if (DATABASE_PLACEHOLDER.test(name)) return;
  if (/\{\{|\}\}/.test(name)) context.addIssue('takes no placeholder but {{database}}');
  else if (!isDatabaseName(name)) context.addIssue('must be a database name, or {{database}}');
});
const roleName = z
  .string()
  .min(1)
  .max(ROLE_NAME_CHARACTERS_MAX)
  .refine((name) => !/\p{C}/u.test(name), 'must have no control characters')
  .refine((name) => !/\{\{|\}\}/.test(name), 'takes no placeholder');
const creationDocument = z.strictObject({
  db: databaseName.optional(),
  roles: z
    .array(z.union([roleName, z.strictObject({ role: roleName, db: databaseName })]))
    .min(1)
    .max(ROLES_MAX),
});
type CreationDocument = z.infer<typeof creationDocument>;

export function isDatabaseName(name: string): boolean {
  return (
    name !== '' && Buffer.byteLength(name) <= DATABASE_NAME_BYTES_MAX && !NOT_IN_DATABASE_NAME.test(name)
  );
}

/**
 * The database is written out: were it the placeholder, a connection moved to another database would be asked for its
 * old users in the new one.
 */
export function templateCreation(template: TemplateName, database: string): string {
  return JSON.stringify({ db: database, roles: [{ role: MONGO_ROLES[template], db: database }] });
}

/** Parsed and judged; `validation_error` of `creation_sql`. */
export function parseCreation(text: string): CreationDocument {
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX)
    throw validationError('creation_sql', `must have at most ${TEXT_BYTES_MAX} bytes`);
  return documentOf(text);
}

/** Of what was judged when it was written: a lease's copy may have become longer. */
function documentOf(text: string): CreationDocument {
  const parsed = creationDocument.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw validationError('creation_sql', describe(issue!));
}

export function resolveCreation(text: string, database: string): MongoCreation {
  const { db, roles } = documentOf(text);
  const nameOf = (name: string | undefined) =>
    name === undefined || DATABASE_PLACEHOLDER.test(name) ? database : name;
  const home = nameOf(db);
  return {
    db: home,
    roles: roles.map((role) =>
      // As MongoDB reads a bare name: a role of the database that the user is made in.
      typeof role === 'string' ? { role, db: home } : { role: role.role, db: nameOf(role.db) },
    ),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw validationError(
      'creation_sql',
      'must be a JSON document such as {"db": "shop", "roles": [{"role": "read", "db": "shop"}]}',
    );
  }
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('.');
  const rule = issue.code === 'invalid_union' ? 'must be a role name, or {"role", "db"}' : issue.message;
  return path === '' ? rule : `${path} ${rule}`;
}
