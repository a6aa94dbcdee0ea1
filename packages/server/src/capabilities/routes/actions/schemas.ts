import { z } from 'zod';
import { LIMITS } from '../../../kernel/limits.js';
import { ACTION_DIRECTIONS, ACTION_KINDS } from '../types.js';
import type { NewAction } from './service.js';
import type { StoredAction } from './store.js';

/** RFC 9110 §8.3.1, without parameters. */
const MEDIA_TYPE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,127}\/[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,127}$/;
const SORT_ORDER_MAX = 1_000_000;

const name = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/[\p{Cc}\p{Cs}]/u.test(text), 'must not hold control characters');

export const createActionBody = z
  .strictObject({
    direction: z.enum(ACTION_DIRECTIONS).describe('On requests before they are sent, or on answers.'),
    action: z.enum(ACTION_KINDS),
    selectors: z
      .array(z.string().max(LIMITS.fieldSelectorCharactersMax))
      .min(1)
      .max(LIMITS.fieldSelectorsMax)
      .describe('Which values of a JSON body: JSON paths of the form $.a.b[*].c, without `..`.'),
    key_name: name
      .nullable()
      .default(null)
      .describe('A crypto key to encrypt and decrypt with, a vault to tokenize and detokenize with.'),
    data_role: name.nullable().default(null).describe('The role of a `kc:` value that is made or opened.'),
    content_type: z
      .string()
      .max(LIMITS.nameCharactersMax)
      .regex(MEDIA_TYPE, 'must be a media type without parameters')
      .default('application/json')
      .describe('Bodies of another are left as they are.'),
    sort_order: z
      .number()
      .int()
      .min(0)
      .max(SORT_ORDER_MAX)
      .default(0)
      .describe('In ascending order; of one, the oldest first.'),
    enabled: z.boolean().default(true),
  })
  .transform(
    ({ key_name, data_role, content_type, sort_order, ...rest }): NewAction => ({
      ...rest,
      keyName: key_name,
      dataRole: data_role,
      contentType: content_type.toLowerCase(),
      sortOrder: sort_order,
    }),
  );

const rowId = z.string().meta({ format: 'uuid' });

export const actionResponse = z
  .object({
    id: rowId,
    route_id: rowId,
    tenant_id: rowId,
    direction: z.enum(ACTION_DIRECTIONS),
    action: z.enum(ACTION_KINDS),
    selectors: z.array(z.string()),
    key_name: z.string().nullable(),
    data_role: z.string().nullable(),
    content_type: z.string(),
    sort_order: z.number().int(),
    enabled: z.boolean(),
  })
  .meta({ id: 'RouteAction' });

export const actionsResponse = z.array(actionResponse).describe('In the order in which they are applied.');

export const deletedActionResponse = z.object({ deleted: rowId.describe('The id of the action.') });

export function actionWire(action: StoredAction) {
  return {
    id: action.id,
    route_id: action.routeId,
    tenant_id: action.scope.tenantId,
    direction: action.direction,
    action: action.action,
    selectors: [...action.selectors],
    key_name: action.keyName,
    data_role: action.dataRole,
    content_type: action.contentType,
    sort_order: action.sortOrder,
    enabled: action.enabled,
  };
}
