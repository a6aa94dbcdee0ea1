import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { WEBHOOK_FORMATS } from '../crypto-keys/index.js';
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
    .describe('Where verified requests go: `https:`, and `http:` where the operator allows it.')
    .meta({ examples: ['https://orders.example.com/stripe'] }),
  enabled: z.boolean().describe('False: requests are answered as if there were no such webhook.'),
};

export const createInboundWebhookBody = z
  .strictObject({
    ...fields,
    description: fields.description.default(null),
    secret: fields.secret.default(null),
    hmac_key_id: fields.hmac_key_id.default(null),
    header_name: fields.header_name.default(null),
    tolerance_seconds: fields.tolerance_seconds.default(300),
    enabled: fields.enabled.default(true),
  })
  .transform(
    ({ hmac_key_id, header_name, tolerance_seconds, target_url, ...body }): NewInboundWebhook => ({
      ...body,
      hmacKeyId: hmac_key_id,
      headerName: header_name,
      toleranceSeconds: tolerance_seconds,
      targetUrl: target_url,
    }),
  );

export const updateInboundWebhookBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(
    ({ hmac_key_id, header_name, tolerance_seconds, target_url, ...body }): InboundWebhookChanges => {
      const changes = {
        ...body,
        hmacKeyId: hmac_key_id,
        headerName: header_name,
        toleranceSeconds: tolerance_seconds,
        targetUrl: target_url,
      };
      return Object.fromEntries(
        Object.entries(changes).filter(([, value]) => value !== undefined),
      ) as InboundWebhookChanges;
    },
  );

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
    target_url: z.string(),
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
    enabled: webhook.enabled,
    created_at: isoTime(webhook.createdAtMs),
    updated_at: isoTime(webhook.updatedAtMs),
    sandbox: webhook.scope.sandbox,
  };
}
