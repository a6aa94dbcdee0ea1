import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { instantText } from '../../platform/http/pagination.js';
import { COLOR_DEFAULT } from './first.js';
import type { Environment, EnvironmentTerms } from './store.js';

/** dataplane.md §4. */
export const environmentName = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .regex(/^[a-z0-9_-]+$/, 'must be one or more of a-z, 0-9, _ and -')
  .meta({ examples: ['staging'] });

const rowId = z.string().meta({ format: 'uuid' });
const text = (charactersMax: number) =>
  z
    .string()
    .max(charactersMax)
    .refine((value) => !/[^\P{Cc}\n\t]/u.test(value), 'must not hold control characters')
    .nullable();

const fields = {
  name: environmentName.describe('What calls, routes and secrets name it by.'),
  display_name: text(LIMITS.nameCharactersMax).describe('For people.'),
  description: text(LIMITS.descriptionCharactersMax).describe('For people.'),
  color: z
    .string()
    .max(7)
    .regex(/^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/, 'must be # and 3 or 6 hex digits')
    .describe('In which it is shown.'),
  variables: z
    .record(
      z
        .string()
        .max(LIMITS.nameCharactersMax)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and _, not beginning with a digit'),
      z.string().max(LIMITS.environmentVariableCharactersMax),
    )
    .refine((variables) => Object.keys(variables).length <= LIMITS.environmentVariablesMax, {
      error: `must not hold more than ${LIMITS.environmentVariablesMax} variables`,
    })
    .describe(
      'What {{var:KEY}} stands for in bodies of calls of routes. Not secret: every answer shows them.',
    ),
  is_default: z.boolean().describe('True: what names no environment is of this one; the others are no more.'),
};

export const environmentParams = z.object({ id: z.string().min(1).max(64).describe('Of an environment.') });

export const createEnvironmentBody = z
  .strictObject({
    name: fields.name,
    display_name: fields.display_name.default(null),
    description: fields.description.default(null),
    color: fields.color.default(COLOR_DEFAULT),
    is_default: fields.is_default.default(false),
    variables: fields.variables.default({}),
  })
  .transform(
    ({ display_name, is_default, ...rest }): EnvironmentTerms => ({
      ...rest,
      displayName: display_name,
      isDefault: is_default,
    }),
  );

export const updateEnvironmentBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(
    ({ display_name, is_default, ...rest }) =>
      ({
        ...rest,
        ...(display_name !== undefined && { displayName: display_name }),
        ...(is_default !== undefined && { isDefault: is_default }),
      }) satisfies Partial<EnvironmentTerms>,
  );

const row = {
  id: rowId,
  name: z.string(),
  display_name: z.string().nullable(),
  description: z.string().nullable(),
  color: z.string(),
  is_default: z.boolean(),
  variables: z.record(z.string(), z.string()),
  created_at: instantText,
};

export const environmentsResponse = z
  .array(z.object(row).meta({ id: 'EnvironmentRow' }))
  .describe('In the order in which they were made.');

export const environmentResponse = z
  .object({ ...row, tenant_id: z.string(), sandbox: z.boolean().describe('True in test mode.') })
  .meta({ id: 'Environment' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function environmentRowWire(environment: Environment) {
  return {
    id: environment.id,
    name: environment.name,
    display_name: environment.displayName,
    description: environment.description,
    color: environment.color,
    is_default: environment.isDefault,
    variables: environment.variables,
    created_at: isoTime(environment.createdAtMs),
  };
}

export function environmentWire(environment: Environment) {
  const { tenantId, sandbox } = environment.scope;
  return { ...environmentRowWire(environment), tenant_id: tenantId, sandbox };
}
