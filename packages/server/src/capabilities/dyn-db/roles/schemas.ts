import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import { instantText } from '../../../platform/http/pagination.js';
import { TEMPLATES } from '../providers/engine.js';
import {
  definedOnly,
  maxLiveLeases,
  NAMES_A_FIELD,
  resourceName,
  storedTtl,
  usernameTemplate,
} from '../schemas.js';
import type { NewRole, NewStatements, RoleChanges, RoleOfConnection } from './service.js';
import type { Role } from './store.js';

const SCHEMAS_MAX = 100;

const statements = z.string().max(LIMITS.roleStatementsBytesMax);
const creation = statements
  .min(1, 'must not be empty')
  .describe(
    'Statements that make the user: `{{username}}`, `{{password}}`, `{{expiration}}`, `{{database}}`. Of mongo JSON, `{db?, roles}`.',
  );
const revocation = statements.describe(
  'Statements that remove what the user was given; of mongo it may be empty.',
);

export const createRoleBody = z
  .strictObject({
    name: resourceName.describe('Unique in its connection; stands in paths.').meta({ examples: ['reader'] }),
    template: z
      .enum(TEMPLATES, `must be one of ${TEMPLATES.join(', ')}`)
      .optional()
      .describe('`readonly` reads every table, `readwrite` also writes rows. In place of statements.'),
    schemas: z
      .array(z.string().min(1).max(63))
      .min(1)
      .max(SCHEMAS_MAX)
      .optional()
      .describe('Of postgres, with `template`: these schemas; absent: all but the system’s.'),
    creation_sql: creation.optional(),
    revocation_sql: revocation.optional(),
    default_ttl_seconds: storedTtl.nullable().default(null).describe('Null: that of the connection.'),
    max_ttl_seconds: storedTtl
      .nullable()
      .default(null)
      .describe('Null: that of the connection, which bounds it too.'),
    username_template: usernameTemplate.default(null),
    max_live_leases: maxLiveLeases.default(null),
  })
  .superRefine((body, context) => {
    const issue = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message });
    if ((body.template === undefined) === (body.creation_sql === undefined))
      issue('template', 'must stand alone or be left out for creation_sql');
    if (body.template !== undefined && body.revocation_sql !== undefined)
      issue('revocation_sql', 'is for creation_sql: a template has its own');
    if (body.template === undefined && body.schemas !== undefined) issue('schemas', 'is for template');
  });

export function newRoleOf(body: z.output<typeof createRoleBody>): NewRole {
  return {
    name: body.name,
    statements: newStatementsOf(body),
    defaultTtlSeconds: body.default_ttl_seconds,
    maxTtlSeconds: body.max_ttl_seconds,
    usernameTemplate: body.username_template,
    maxLiveLeases: body.max_live_leases,
  };
}

function newStatementsOf(body: z.output<typeof createRoleBody>): NewStatements {
  if (body.template) return { template: body.template, schemas: body.schemas ?? null };
  return { creation: body.creation_sql ?? '', revocation: body.revocation_sql ?? '' };
}

export const updateRoleBody = z
  .strictObject({
    creation_sql: creation.optional(),
    revocation_sql: revocation.optional(),
    default_ttl_seconds: storedTtl.nullable().optional(),
    max_ttl_seconds: storedTtl.nullable().optional(),
    username_template: usernameTemplate.optional(),
    max_live_leases: maxLiveLeases.optional(),
  })
  .refine((body) => Object.keys(body).length > 0, NAMES_A_FIELD);

export function roleChangesOf(body: z.output<typeof updateRoleBody>): RoleChanges {
  return definedOnly({
    creation: body.creation_sql,
    revocation: body.revocation_sql,
    defaultTtlSeconds: body.default_ttl_seconds,
    maxTtlSeconds: body.max_ttl_seconds,
    usernameTemplate: body.username_template,
    maxLiveLeases: body.max_live_leases,
  });
}

export const roleResponse = z
  .object({
    id: z.string(),
    name: z.string(),
    creation_sql_template: z.string().describe('Of a template: what it stands for.'),
    revocation_sql_template: z.string(),
    default_ttl_seconds: z.number().nullable(),
    max_ttl_seconds: z.number().nullable(),
    username_template: z.string().nullable(),
    max_live_leases: z.number().nullable(),
    created_at: instantText,
    updated_at: instantText,
  })
  .meta({ id: 'DynDbRole' });

export function roleWire(role: Role): z.input<typeof roleResponse> {
  return {
    id: role.id,
    name: role.name,
    creation_sql_template: role.statements.creation,
    revocation_sql_template: role.statements.revocation,
    default_ttl_seconds: role.defaultTtlSeconds,
    max_ttl_seconds: role.maxTtlSeconds,
    username_template: role.usernameTemplate,
    max_live_leases: role.maxLiveLeases,
    created_at: isoTime(role.createdAtMs),
    updated_at: isoTime(role.updatedAtMs),
  };
}

export const createdRoleResponse = z
  .object({ id: z.string(), name: z.string(), connection: z.string().describe('Its name.') })
  .meta({ id: 'DynDbRoleCreated' });

export function createdRoleWire({
  role,
  connectionName,
}: RoleOfConnection): z.input<typeof createdRoleResponse> {
  return { id: role.id, name: role.name, connection: connectionName };
}
