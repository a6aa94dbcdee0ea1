import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { isMailAddress } from '../../platform/mail/mail.js';
import type { GivenChannel } from './channels/channel.js';
import { type GivenCondition, PERCENTILES } from './conditions.js';
import type { AlertChanges, FiringWithDeliveries, NewAlert, TestedChannel } from './service.js';
import type { Alert } from './store.js';
import { ALERT_TYPES, CHANNEL_TYPES, DELIVERY_STATES, SEVERITIES } from './tables.js';
import { conditionWire } from './wire.js';

export const alertParams = z.object({ id: z.string().min(1).max(64).describe('Of an alert.') });

export const alertListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'enabled'])
    .default('created_at')
    .describe('What the rows are ordered by.'),
  order: orderQuery,
});

export const firingListQuery = z.object({ ...pageQuery, order: orderQuery });

const storable = (text: string) => !/[\0\ud800-\udfff]/u.test(text);
const line = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/\p{Cc}/u.test(text), 'must not hold control characters');

const calls = z.number().int().min(1).max(1_000_000_000);

const condition = z
  .strictObject({
    threshold: calls.optional().describe('That many calls, or more. Of latency none.'),
    window_minutes: z.number().int().min(1).max(1_440).optional().describe('Within which; by default 5.'),
    include_status_codes: z
      .array(z.number().int().min(100).max(599))
      .max(100)
      .transform((codes) => [...new Set(codes)])
      .optional()
      .describe('Of `request_failures`: what counts as a failure; absent or empty: every 5xx.'),
    threshold_ms: z
      .number()
      .int()
      .min(1)
      .max(600_000)
      .optional()
      .describe('Of `high_latency`: the percentile is above it.'),
    percentile: z.literal(PERCENTILES).optional().describe('Of `high_latency`; by default 95.'),
    min_requests: calls
      .optional()
      .describe('Of `high_latency`: with fewer calls nothing is told; by default 10.'),
  })
  .transform(
    (given): GivenCondition => ({
      threshold: given.threshold,
      windowMinutes: given.window_minutes,
      includeStatusCodes: given.include_status_codes,
      thresholdMs: given.threshold_ms,
      percentile: given.percentile,
      minRequests: given.min_requests,
    }),
  )
  .describe('When it goes off; which members there are is the choice of the type.')
  .meta({ examples: [{ threshold: 10, window_minutes: 5, include_status_codes: [500, 502, 503] }] });

const channelId = z
  .uuid()
  .toLowerCase()
  .optional()
  .describe('Of a channel that stays: it keeps what is not sent again.');
const secretUrl = z
  .string()
  .min(1)
  .max(LIMITS.proxyUrlBytesMax)
  .transform((url) => new Secret(url))
  .optional();

const channelOf = <Id extends z.ZodRawShape>(id: Id) =>
  z
    .discriminatedUnion('type', [
      z.strictObject({
        type: z.literal('email'),
        ...id,
        to: z.string().max(254).refine(isMailAddress, 'must be one address').optional(),
      }),
      z.strictObject({
        type: z.literal('sms'),
        ...id,
        to: z
          .string()
          .regex(/^\+[1-9]\d{6,14}$/, 'must be a number with + and country code (E.164)')
          .optional(),
      }),
      z.strictObject({
        type: z.literal('slack'),
        ...id,
        url: secretUrl.describe(
          'Of an incoming webhook of Slack, or of what takes its messages. Never shown again.',
        ),
      }),
      z.strictObject({
        type: z.literal('webhook'),
        ...id,
        url: secretUrl.describe('Gets the event as JSON. Never shown again.'),
        secret: z
          .string()
          .min(16)
          .max(255)
          .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters')
          .transform((text) => new Secret(text))
          .nullable()
          .optional()
          .describe(
            'Signs in `X-Webhook-Signature`, as webhooks of format `legacy` are; null: no signature.',
          ),
      }),
    ])
    .transform((given) => given as GivenChannel);

const channelsOf = <Id extends z.ZodRawShape>(id: Id) =>
  z
    .array(channelOf(id))
    .max(LIMITS.alertChannelsMax)
    .describe('Who is told. The event `alert.triggered` goes to webhooks besides.')
    .meta({ examples: [[{ type: 'email', to: 'ops@example.com' }]] });

const fields = {
  name: line.describe('For people.'),
  description: z
    .string()
    .max(LIMITS.descriptionCharactersMax)
    .refine(storable, 'must be valid Unicode without NUL')
    .nullable()
    .describe('For people.'),
  type: z.enum(ALERT_TYPES).describe('What is watched.'),
  severity: z.enum(SEVERITIES).describe('Stands in every message.'),
  condition,
  route_id: z.uuid().toLowerCase().nullable().describe('Only calls of that route; null: all calls.'),
  environment: line.nullable().describe('Only calls in that environment; null: in all.'),
  cooldown_minutes: z
    .number()
    .int()
    .min(5)
    .max(10_080)
    .describe('Once it has gone off, it does not again for so long.'),
  enabled: z.boolean().describe('False: it does not go off.'),
};

export const createAlertBody = z
  .strictObject({
    ...fields,
    channels: channelsOf({}),
    description: fields.description.default(null),
    severity: fields.severity.default('warning'),
    route_id: fields.route_id.default(null),
    environment: fields.environment.default(null),
    cooldown_minutes: fields.cooldown_minutes.default(15),
    enabled: fields.enabled.default(true),
  })
  .transform(
    ({ route_id, cooldown_minutes, ...body }): NewAlert => ({
      ...body,
      routeId: route_id,
      cooldownMinutes: cooldown_minutes,
    }),
  );

export const updateAlertBody = z
  .strictObject({ ...fields, channels: channelsOf({ id: channelId }) })
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(({ route_id, cooldown_minutes, ...body }): AlertChanges => {
    const changes = { ...body, routeId: route_id, cooldownMinutes: cooldown_minutes };
    return Object.fromEntries(
      Object.entries(changes).filter(([, value]) => value !== undefined),
    ) as AlertChanges;
  });

const rowId = z.string().meta({ format: 'uuid' });
const conditionResponse = z.object({
  threshold: z.number().int().optional(),
  threshold_ms: z.number().int().optional(),
  percentile: z.number().int().optional(),
  window_minutes: z.number().int(),
  min_requests: z.number().int().optional(),
  include_status_codes: z.array(z.number().int()).optional(),
});

export const alertResponse = z
  .object({
    id: rowId,
    name: z.string(),
    description: z.string().nullable(),
    type: z.enum(ALERT_TYPES),
    severity: z.enum(SEVERITIES),
    condition: conditionResponse,
    route_id: rowId.nullable(),
    environment: z.string().nullable(),
    cooldown_minutes: z.number().int(),
    channels: z.array(
      z.object({
        id: rowId,
        type: z.enum(CHANNEL_TYPES),
        to: z.string().optional(),
        url: z.string().optional().describe('Its origin; the rest is as good as a password.'),
        has_secret: z.boolean().optional().describe('Whether what it sends is signed.'),
      }),
    ),
    enabled: z.boolean(),
    trigger_count: z.number().int().describe('How often it has gone off.'),
    last_triggered_at: instantText.nullable().describe('Null: never.'),
    quiet_until: instantText.nullable().describe('When the cooldown ends; null: there is none.'),
    created_at: instantText,
    updated_at: instantText,
    sandbox: z.boolean().describe('True in test mode.'),
  })
  .meta({ id: 'Alert' });

export const firingResponse = z
  .object({
    id: rowId,
    type: z.enum(ALERT_TYPES),
    severity: z.enum(SEVERITIES),
    condition: conditionResponse,
    value: z.number().int().describe('Calls, or milliseconds of latency.'),
    requests: z.number().int().describe('Calls in the window.'),
    window_from: instantText,
    window_to: instantText,
    triggered_at: instantText,
    deliveries: z.array(
      z.object({
        channel_id: rowId,
        type: z.enum(CHANNEL_TYPES),
        state: z.enum(DELIVERY_STATES).describe('`failed` was given up.'),
        attempts: z.number().int(),
        error: z.string().nullable(),
        ended_at: instantText.nullable(),
      }),
    ),
  })
  .meta({ id: 'AlertFiring' });

export const testedResponse = z
  .object({
    success: z.boolean().describe('Whether every channel has taken it.'),
    channels: z.array(
      z.object({
        channel_id: rowId,
        type: z.enum(CHANNEL_TYPES),
        success: z.boolean(),
        error: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'AlertTested' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function alertWire(alert: Alert) {
  return {
    id: alert.id,
    name: alert.name,
    description: alert.description,
    type: alert.type,
    severity: alert.severity,
    condition: conditionWire(alert.condition),
    route_id: alert.routeId,
    environment: alert.environment,
    cooldown_minutes: alert.cooldownMinutes,
    channels: alert.channels.map(({ id, type, target, hasSecret }) => ({
      id,
      type,
      ...(type === 'email' || type === 'sms' ? { to: target } : { url: target }),
      ...(type === 'webhook' && { has_secret: hasSecret }),
    })),
    enabled: alert.enabled,
    trigger_count: alert.triggerCount,
    last_triggered_at: isoTimeOrNull(alert.lastTriggeredAtMs),
    quiet_until: isoTimeOrNull(alert.quietUntilMs || null),
    created_at: isoTime(alert.createdAtMs),
    updated_at: isoTime(alert.updatedAtMs),
    sandbox: alert.scope.sandbox,
  };
}

export function firingWire(firing: FiringWithDeliveries) {
  return {
    id: firing.id,
    type: firing.type,
    severity: firing.severity,
    condition: conditionWire(firing.condition),
    value: firing.value,
    requests: firing.requests,
    window_from: isoTime(firing.windowFromMs),
    window_to: isoTime(firing.windowToMs),
    triggered_at: isoTime(firing.triggeredAtMs),
    deliveries: firing.deliveries.map((delivery) => ({
      channel_id: delivery.channelId,
      type: delivery.channelType,
      state: delivery.state,
      attempts: delivery.attempts,
      error: delivery.error,
      ended_at: isoTimeOrNull(delivery.endedAtMs),
    })),
  };
}

export function testedWire(results: readonly TestedChannel[]) {
  return {
    success: results.every(({ error }) => error === null),
    channels: results.map(({ channelId: id, type, error }) => ({
      channel_id: id,
      type,
      success: error === null,
      ...(error !== null && { error }),
    })),
  };
}
