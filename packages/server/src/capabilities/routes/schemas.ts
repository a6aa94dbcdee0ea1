import { z } from 'zod';
import { isUuid } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { environmentName } from '../environments/index.js';
import { configFields, refusedFields, target, termsOf } from './config-schema.js';
import type { NewRoute, RouteChanges, SentEnvironment } from './service.js';
import { isReservedSlug, SLUG_CHARACTERS_MAX } from './slug.js';

const name = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/[\p{Cc}\p{Cs}]/u.test(text), 'must not hold control characters')
  .refine((text) => text.trim() === text, 'must not begin or end with spaces')
  .refine((text) => !isUuid(text), 'must not have the form of an id, by which routes are found first')
  .describe('By which calls may name it, case and all.');

const slug = z
  .string()
  .min(1)
  .max(SLUG_CHARACTERS_MAX)
  .regex(/^[a-z0-9-]+$/, 'must be a-z, 0-9 and - alone')
  .refine((text) => !isReservedSlug(text), 'is the first segment of a path of the server itself')
  .refine((text) => !isUuid(text), 'must not have the form of an id, by which routes are found first');

const enabled = z.boolean();

export const routeParams = z.object({
  id: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Id or slug of a route.'),
});
export const environmentParams = routeParams.extend({
  env: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Name of an environment.'),
});
export const clientParams = environmentParams.extend({
  clientId: z.string().min(1).max(64).describe('Of a client.'),
});
export const actionParams = routeParams.extend({
  actionId: z.string().min(1).max(64).describe('Of an action of the route.'),
});

export const routeListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'enabled'])
    .default('created_at')
    .describe('What the rows are ordered by.'),
  order: orderQuery,
  enabled: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .describe('Only those that are, or are not.'),
});

export const routeLogsQuery = z.object(pageQuery);

const { target_base_url: _ofChanges, ...fieldsOfCreation } = configFields;

export const createRouteBody = z
  .strictObject({
    name,
    target_base_url: target.min(1),
    slug: slug
      .nullable()
      .optional()
      .describe('By which paths name it, for ever; left out: made of the name. Null: none.'),
    base_environment: environmentName
      .optional()
      .describe('From which the others inherit; left out: production, or the default of the mode.'),
    collection_id: z.uuid().toLowerCase().nullable().default(null).describe('Yours, to group routes by.'),
    enabled: enabled.default(true),
    ...z.object(fieldsOfCreation).partial().shape,
    ...z.object(refusedFields).partial().shape,
  })
  .transform(
    ({ name, slug, base_environment, collection_id, enabled, ...config }): NewRoute => ({
      name,
      slug,
      baseEnvironment: base_environment,
      collectionId: collection_id,
      enabled,
      terms: termsOf(config),
    }),
  );

const notEmpty = {
  error: 'must name at least one field to change',
  when: ({ issues }: { readonly issues: readonly unknown[] }) => issues.length === 0,
};

export const updateRouteBody = z
  .strictObject({
    name,
    enabled: enabled.describe('False: calls are answered as if it were not there.'),
    ...configFields,
    ...refusedFields,
  })
  .partial()
  .refine((body) => Object.keys(body).length > 0, notEmpty)
  .transform(
    ({ name, enabled, ...config }): RouteChanges => ({
      ...(name !== undefined && { name }),
      ...(enabled !== undefined && { enabled }),
      terms: termsOf(config),
    }),
  );

export const environmentBody = z
  .strictObject({
    environment_name: environmentName.describe('That of the path, or left out.'),
    enabled: enabled.describe('False: calls for this environment alone are refused. Never inherited.'),
    ...configFields,
    ...refusedFields,
  })
  .partial()
  .transform((body): SentEnvironment => ({ name: body.environment_name, terms: termsOf(body) }));

export const clientsBody = z.strictObject({
  client_ids: z
    .array(z.string().min(1).max(64))
    .max(LIMITS.clientsMax)
    .describe('In the place of those that are assigned; empty: none.'),
});
