import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { WEBHOOK_FORMATS } from '../crypto-keys/index.js';
import type { InboundDelivery } from './deliveries/store.js';
import type { InboundWebhookChanges, NewInboundWebhook } from './service.js';
import type { InboundWebhook } from './store.js';

export const inboundWebhookParams = z.object({
  id: z.string().min(1).max(64).describe('Of an inbound webhook.'),
});

export const inboundWebhookListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'enabled'])
    .default('created_at')
    .describe('What the rows are ordered by.'),
  order: orderQuery,
});

export const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

const fields = {
  name: z
    .string()
    .regex(NAME, 'must be 1 to 63 of a-z, 0-9, - and _, and begin with a letter or digit')
    .describe('Stands in its address: `/hooks/<tenant>/<name>`.'),
  description: z
    .string()
    .max(LIMITS.descriptionCharactersMax)
    .refine((text) => !/[\0\ud800-\udfff]/u.test(text), 'must be valid Unicode without NUL')
    .nullable()
    .describe('For people.'),
  format: z.enum(WEBHOOK_FORMATS).describe('How the sender signs.'),
  secret: z
    .string()
    .min(8)
    .max(512)
    .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters')
    .transform((text) => new Secret(text))
    .nullable()
    .describe('What the sender signs with, the whole text. Never shown again.')
    .meta({ examples: ['whsec_5f0d6c7e8a9b'] }),
  hmac_key_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe('A crypto key of type HMAC in place of `secret`. Needs `crypto:verify`.'),
  header_name: z
    .string()
    .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,255}$/, 'must be the name of a header')
    .nullable()
    .describe('Of format `custom` alone: where the signature stands.'),
  tolerance_seconds: z
    .number()
    .int()
    .min(0)
    .max(3_600)
    .describe('How old a request may be, and how long it is not taken again; 0: neither is judged.'),
  target_url: z
    .string()
    .min(1)
    .max(LIMITS.proxyUrlBytesMax)
    .nullable()
    .describe('Where verified requests go: `https:`, and `http:` where the operator allows it.')
    .meta({ examples: ['https://orders.example.com/stripe'] }),
  route_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe(
      'A route that verified requests are passed on to, in place of `target_url`: they are kept, answered with 202, and carried to it with retries. Needs `routes:invoke`.',
    )
    .meta({ examples: [null] }),
  route_environment: z
    .string()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .nullable()
    .describe('Of `route_id`: in which of its environments it is called; null: in its base environment.')
    .meta({ examples: [null] }),
  max_retries: z
    .number()
    .int()
    .min(0)
    .max(10)
    .describe(
      'Of `route_id`: further tries, after 1, 5, 25 … s and at most an hour each; then it is a dead letter.',
    ),
  enabled: z
    .boolean()
    .describe('False: requests are answered as if there were no such webhook, and what waits rests.'),
};

type RenamedFields = 'hmac_key_id' | 'header_name' | 'tolerance_seconds' | Targets;
type Targets = 'target_url' | 'route_id' | 'route_environment' | 'max_retries';
type Fields = { [Name in keyof typeof fields]: z.output<(typeof fields)[Name]> };

function renamed<T extends Partial<Pick<Fields, RenamedFields>>>(body: T) {
  return {
    hmacKeyId: body.hmac_key_id as T['hmac_key_id'],
    headerName: body.header_name as T['header_name'],
    toleranceSeconds: body.tolerance_seconds as T['tolerance_seconds'],
    targetUrl: body.target_url as T['target_url'],
    routeId: body.route_id as T['route_id'],
    routeEnvironment: body.route_environment as T['route_environment'],
    maxRetries: body.max_retries as T['max_retries'],
  };
}

export const createInboundWebhookBody = z
  .strictObject({
    ...fields,
    description: fields.description.default(null),
    secret: fields.secret.default(null),
    hmac_key_id: fields.hmac_key_id.default(null),
    header_name: fields.header_name.default(null),
    tolerance_seconds: fields.tolerance_seconds.default(300),
    target_url: fields.target_url.default(null),
    route_id: fields.route_id.default(null),
    route_environment: fields.route_environment.default(null),
    max_retries: fields.max_retries.default(3),
    enabled: fields.enabled.default(true),
  })
  .transform(
    ({ name, description, format, secret, enabled, ...body }): NewInboundWebhook => ({
      name,
      description,
      format,
      secret,
      enabled,
      ...renamed(body),
    }),
  );

export const updateInboundWebhookBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(({ name, description, format, secret, enabled, ...body }): InboundWebhookChanges => {
    const changes = { name, description, format, secret, enabled, ...renamed(body) };
    return Object.fromEntries(
      Object.entries(changes).filter(([, value]) => value !== undefined),
    ) as InboundWebhookChanges;
  });

const rowId = z.string().meta({ format: 'uuid' });

export const inboundWebhookResponse = z
  .object({
    id: rowId,
    name: z.string(),
    description: z.string().nullable(),
    format: z.enum(WEBHOOK_FORMATS),
    has_secret: z.boolean(),
    hmac_key_id: rowId.nullable(),
    header_name: z.string().nullable(),
    tolerance_seconds: z.number().int(),
    target_url: z.string().nullable(),
    route_id: rowId.nullable(),
    route_environment: z.string().nullable().describe('Null: the base environment of the route.'),
    max_retries: z.number().int(),
    enabled: z.boolean(),
    created_at: instantText,
    updated_at: instantText,
    sandbox: z.boolean().describe('True in test mode.'),
  })
  .meta({ id: 'InboundWebhook' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function inboundWebhookWire(webhook: InboundWebhook) {
  return {
    id: webhook.id,
    name: webhook.name,
    description: webhook.description,
    format: webhook.format,
    has_secret: webhook.secretEnvelope !== null,
    hmac_key_id: webhook.hmacKeyId,
    header_name: webhook.headerName,
    tolerance_seconds: webhook.toleranceSeconds,
    target_url: webhook.targetUrl,
    route_id: webhook.routeId,
    route_environment: webhook.routeEnvironment,
    max_retries: webhook.maxRetries,
    enabled: webhook.enabled,
    created_at: isoTime(webhook.createdAtMs),
    updated_at: isoTime(webhook.updatedAtMs),
    sandbox: webhook.scope.sandbox,
  };
}

export const inboundDeliveryParams = inboundWebhookParams.extend({
  deliveryId: z.string().min(1).max(64).describe('Of a request that was kept.'),
});

export const inboundDeliveryListQuery = z.object({ ...pageQuery, order: orderQuery });

export const inboundDeliveryResponse = z
  .object({
    id: rowId.describe('As the sender was told.'),
    state: z
      .enum(['waiting', 'sending', 'dead'])
      .describe('`dead`: given up; it can be replayed. What has arrived is no row any more.'),
    attempts: z.number().int().describe('Calls of the route.'),
    due_at: instantText.nullable().describe('Of the next one.'),
    method: z.string(),
    bytes: z.number().int().describe('Of the body.'),
    last_status: z.number().int().nullable().describe('Of the last call; null where there was no answer.'),
    last_error: z.string().nullable(),
    last_request_id: z.string().nullable().describe('Of the last call, for the request log.'),
    received_at: instantText,
    updated_at: instantText,
  })
  .meta({ id: 'InboundDelivery' });

export const inboundReplayedResponse = z
  .object({ replayed: z.number().int().describe('Dead letters that are being tried again.') })
  .meta({ id: 'InboundReplayed' });

export function inboundDeliveryWire(delivery: InboundDelivery) {
  return {
    id: delivery.id,
    state: delivery.state,
    attempts: delivery.attempts,
    due_at: delivery.dueAtMs === null ? null : isoTime(delivery.dueAtMs),
    method: delivery.method,
    bytes: delivery.bytes,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    last_request_id: delivery.lastRequestId,
    received_at: isoTime(delivery.createdAtMs),
    updated_at: isoTime(delivery.updatedAtMs),
  };
}
