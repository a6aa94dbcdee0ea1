import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { WEBHOOK_FORMATS } from '../crypto-keys/index.js';
import { EVENT_TYPES, type EventType } from './event-types.js';
import { HEADER_NAME } from './rules.js';
import type { NewWebhook, WebhookChanges } from './service.js';
import { AUTH_TYPES, METHODS } from './tables.js';

const id = z.string().min(1).max(64);
export const webhookParams = z.object({ id: id.describe('Of a webhook.') });
export const logParams = z.object({
  id: id.describe('Of a webhook.'),
  logId: id.describe('Of a row of its log.'),
});

const line = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/\p{Cc}/u.test(text), 'must not hold control characters');

const storable = (text: string) => !/[\0\ud800-\udfff]/u.test(text);

const texts = z.record(
  z.string().min(1).max(LIMITS.nameCharactersMax),
  z.string().max(LIMITS.webhookHeaderCharactersMax).refine(storable, 'must be valid Unicode without NUL'),
);

const eventTypes = Object.keys(EVENT_TYPES) as [EventType, ...EventType[]];

const routeIds = z.array(z.uuid().toLowerCase()).max(LIMITS.webhookRouteFilterMax);

/** The SDK types it as a string (dataplane.md §11.1): one id, several with commas, or a list as JSON. */
function listed(text: string): unknown {
  const trimmed = text.trim();
  if (!trimmed.startsWith('[')) return trimmed === '' ? [] : trimmed.split(',').map((part) => part.trim());
  try {
    return JSON.parse(trimmed);
  } catch {
    return null;
  }
}

const routeIdsAsText = z
  .string()
  .max(LIMITS.webhookRouteFilterMax * 40)
  .transform((text, context): string[] => {
    const { success, data } = routeIds.safeParse(listed(text));
    if (!success) context.addIssue({ code: 'custom', message: 'must be ids of routes, with commas between' });
    return data ?? [];
  });

const routeFilter = z
  .union([routeIds, routeIdsAsText])
  .transform((ids) => [...new Set(ids)])
  .describe('Ids of routes: of `request.*` only the events of these; empty: of all calls. Also as one text.')
  .meta({ examples: [['6f1c1f0e-0000-4000-8000-000000000001']] });

const fields = {
  name: line.describe('For people.'),
  description: z
    .string()
    .max(LIMITS.descriptionCharactersMax)
    .refine(storable, 'must be valid Unicode without NUL')
    .nullable()
    .describe('For people.'),
  url: z
    .string()
    .min(1)
    .max(LIMITS.proxyUrlBytesMax)
    .describe('Where events are sent: `https:`, and `http:` where the operator allows it.')
    .meta({ examples: ['https://hooks.example.com/knoxcall'] }),
  method: z.enum(METHODS).describe('A GET carries no body.'),
  event_types: z
    .array(z.enum(eventTypes))
    .min(1)
    .max(100)
    .transform((types) => [...new Set(types)])
    .describe('Which events are sent.'),
  auth_type: z
    .enum(AUTH_TYPES)
    .describe('How the receiver knows us. `hmac`: by the signature alone, which every delivery has.'),
  auth_config: texts
    .nullable()
    .describe(
      '`{username, password}` of `basic`, `{token}` of `bearer`, `{name, value}` of `header`. Never shown again.',
    )
    .meta({ examples: [{ token: 'receiver-token' }] }),
  request_headers: texts
    .nullable()
    .describe('Further headers of each delivery. Never shown again.')
    .meta({ examples: [{ 'X-Environment': 'production' }] }),
  route_filter: routeFilter,
  include_request_body: z
    .boolean()
    .describe('Of `request.*`: the body as the caller wrote it, tokens not replaced, its first 16 KiB.'),
  include_response_body: z
    .boolean()
    .describe('Of `request.*`: the body as the caller got it, after redaction, its first 16 KiB.'),
  include_headers: z.boolean().describe('Of `request.*`: headers, those that may hold credentials masked.'),
  timeout_seconds: z.number().int().min(1).max(30).describe('Of one try.'),
  retry_on_failure: z.boolean().describe('False: one try.'),
  max_retries: z
    .number()
    .int()
    .min(0)
    .max(10)
    .describe('Further tries, after 1, 5, 25 … s and at most an hour each; then it is a dead letter.'),
  enabled: z.boolean().describe('False: nothing is sent; what waits goes on when it is true again.'),
  hmac_key_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe('A crypto key of type HMAC that signs in place of `secret_key`. Needs `crypto:sign`.'),
  hmac_format: z.enum(WEBHOOK_FORMATS).describe('How the signature is written.'),
  hmac_header_name: z
    .string()
    .regex(HEADER_NAME, 'must be the name of a header')
    .nullable()
    .describe('Of format `custom` alone: where the signature stands.'),
};

const secretKey = z
  .string()
  .min(16)
  .max(255)
  .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters')
  .nullable()
  .describe('The present one, to be kept; null: a new one is made, and shown once.');

export const webhookListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'enabled'])
    .default('created_at')
    .describe('What the rows are ordered by.'),
  order: orderQuery,
});

export const logListQuery = z.object({ ...pageQuery, order: orderQuery });

const secret = <T>(value: T | null) => (value === null ? null : new Secret(value));

export const createWebhookBody = z
  .strictObject({
    ...fields,
    description: fields.description.default(null),
    method: fields.method.default('POST'),
    auth_type: fields.auth_type.default('none'),
    auth_config: fields.auth_config.default(null),
    request_headers: fields.request_headers.default(null),
    route_filter: fields.route_filter.optional(),
    include_request_body: fields.include_request_body.default(true),
    include_response_body: fields.include_response_body.default(false),
    include_headers: fields.include_headers.default(false),
    timeout_seconds: fields.timeout_seconds.default(30),
    retry_on_failure: fields.retry_on_failure.default(true),
    max_retries: fields.max_retries.default(3),
    enabled: fields.enabled.default(true),
    hmac_key_id: fields.hmac_key_id.default(null),
    hmac_format: fields.hmac_format.default('legacy'),
    hmac_header_name: fields.hmac_header_name.default(null),
  })
  .transform(
    (body): NewWebhook => ({
      name: body.name,
      description: body.description,
      url: body.url,
      method: body.method,
      eventTypes: body.event_types,
      authType: body.auth_type,
      authConfig: secret(body.auth_config),
      requestHeaders: secret(body.request_headers),
      routeFilter: body.route_filter ?? [],
      includeRequestBody: body.include_request_body,
      includeResponseBody: body.include_response_body,
      includeHeaders: body.include_headers,
      timeoutSeconds: body.timeout_seconds,
      retryOnFailure: body.retry_on_failure,
      maxRetries: body.max_retries,
      enabled: body.enabled,
      hmacKeyId: body.hmac_key_id,
      hmacFormat: body.hmac_format,
      hmacHeaderName: body.hmac_header_name,
    }),
  );

export const updateWebhookBody = z
  .strictObject({ ...fields, secret_key: secretKey })
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform((body): WebhookChanges => {
    const { name, description, url, method, enabled } = body;
    const terms = {
      name,
      description,
      url,
      method,
      enabled,
      eventTypes: body.event_types,
      authType: body.auth_type,
      routeFilter: body.route_filter,
      includeRequestBody: body.include_request_body,
      includeResponseBody: body.include_response_body,
      includeHeaders: body.include_headers,
      timeoutSeconds: body.timeout_seconds,
      retryOnFailure: body.retry_on_failure,
      maxRetries: body.max_retries,
      hmacKeyId: body.hmac_key_id,
      hmacFormat: body.hmac_format,
      hmacHeaderName: body.hmac_header_name,
      authConfig: body.auth_config === undefined ? undefined : secret(body.auth_config),
      requestHeaders: body.request_headers === undefined ? undefined : secret(body.request_headers),
      secretKey: body.secret_key === undefined ? undefined : secret(body.secret_key),
    };
    return Object.fromEntries(
      Object.entries(terms).filter(([, value]) => value !== undefined),
    ) as WebhookChanges;
  });
