import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { instantText } from '../../platform/http/pagination.js';
import { WEBHOOK_FORMATS } from '../crypto-keys/index.js';
import type { LoggedAttempt } from './deliveries/store.js';
import { EVENT_TYPES } from './event-types.js';
import type { WrittenWebhook } from './service.js';
import type { Webhook } from './store.js';
import { AUTH_TYPES, METHODS } from './tables.js';

const rowId = z.string().meta({ format: 'uuid' });

const shortRow = {
  id: rowId,
  name: z.string(),
  description: z.string().nullable(),
  url: z.string(),
  method: z.enum(METHODS),
  event_types: z.array(z.string()),
  auth_type: z.enum(AUTH_TYPES),
  enabled: z.boolean(),
  created_at: instantText,
};

const row = {
  ...shortRow,
  last_triggered_at: instantText.nullable().describe('When the last event was taken up; null: never.'),
  trigger_count: z.number().int().describe('Events that were taken up.'),
  success_count: z.number().int().describe('Deliveries that have arrived.'),
  failure_count: z.number().int().describe('Deliveries that were given up.'),
  sandbox: z.boolean().describe('True in test mode.'),
};

const signature = {
  hmac_key_id: rowId.nullable(),
  hmac_format: z.enum(WEBHOOK_FORMATS),
  hmac_header_name: z.string().nullable(),
};

const detail = {
  ...row,
  route_filter: z.array(rowId),
  include_request_body: z.boolean(),
  include_response_body: z.boolean(),
  include_headers: z.boolean(),
  timeout_seconds: z.number().int(),
  retry_on_failure: z.boolean(),
  max_retries: z.number().int(),
  last_success_at: instantText.nullable(),
  last_failure_at: instantText.nullable().describe('When a delivery was given up last; null: never.'),
  ...signature,
};

export const webhookRowResponse = z.object(row).meta({ id: 'WebhookRow' });
export const webhookResponse = z.object(detail).meta({ id: 'Webhook' });
export const createdWebhookResponse = z
  .object({ ...detail, secret_key: z.string().describe('What the signatures are made with; shown once.') })
  .meta({ id: 'CreatedWebhook' });
export const updatedWebhookResponse = z
  .object({
    ...shortRow,
    secret_key: z.string().optional().describe('Where a new one was made; shown once.'),
  })
  .meta({ id: 'UpdatedWebhook' });
export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export const eventTypesResponse = z
  .object({
    event_types: z.array(z.object({ value: z.string(), label: z.string(), description: z.string() })),
  })
  .meta({ id: 'WebhookEventTypes' });

export const testedResponse = z
  .object({
    success: z.boolean().describe('Whether the receiver answered 2xx.'),
    status: z.number().int().optional().describe('Absent where nobody answered.'),
    response_time_ms: z.number().int(),
    error: z.string().optional(),
  })
  .meta({ id: 'WebhookTested' });

export const attemptResponse = z
  .object({
    id: rowId,
    http_method: z.string(),
    target_url: z.string(),
    source_ip: z.null().describe('Null: of inbound webhooks alone.'),
    response_status: z.number().int().nullable().describe('Null: nobody answered.'),
    response_time_ms: z.number().int().nullable(),
    executed_at: instantText,
    success: z.boolean(),
    error_message: z.string().nullable(),
    event_type: z.string(),
    delivery_id: rowId.nullable().describe('As `X-Webhook-Id` had it; null of a test.'),
    attempt: z.number().int().describe('The how manieth try of the delivery.'),
    delivery_state: z
      .enum(['waiting', 'sending', 'delivered', 'dead'])
      .nullable()
      .describe('Of the delivery by now; `dead` was given up and can be replayed.'),
  })
  .meta({ id: 'WebhookLog' });

export const replayedResponse = z
  .object({ replayed: z.number().int().describe('Dead letters that are being tried again.') })
  .meta({ id: 'WebhookReplayed' });

export function eventTypesWire() {
  return {
    event_types: Object.entries(EVENT_TYPES).map(([value, [label, description]]) => ({
      value,
      label,
      description,
    })),
  };
}

function shortWire(webhook: Webhook) {
  return {
    id: webhook.id,
    name: webhook.name,
    description: webhook.description,
    url: webhook.url,
    method: webhook.method,
    event_types: [...webhook.eventTypes],
    auth_type: webhook.authType,
    enabled: webhook.enabled,
    created_at: isoTime(webhook.createdAtMs),
  };
}

export function webhookRowWire(webhook: Webhook) {
  return {
    ...shortWire(webhook),
    last_triggered_at: isoTimeOrNull(webhook.lastTriggeredAtMs),
    trigger_count: webhook.triggerCount,
    success_count: webhook.successCount,
    failure_count: webhook.failureCount,
    sandbox: webhook.scope.sandbox,
  };
}

export function webhookWire(webhook: Webhook) {
  return {
    ...webhookRowWire(webhook),
    route_filter: [...webhook.routeFilter],
    include_request_body: webhook.includeRequestBody,
    include_response_body: webhook.includeResponseBody,
    include_headers: webhook.includeHeaders,
    timeout_seconds: webhook.timeoutSeconds,
    retry_on_failure: webhook.retryOnFailure,
    max_retries: webhook.maxRetries,
    last_success_at: isoTimeOrNull(webhook.lastSuccessAtMs),
    last_failure_at: isoTimeOrNull(webhook.lastFailureAtMs),
    hmac_key_id: webhook.hmacKeyId,
    hmac_format: webhook.hmacFormat,
    hmac_header_name: webhook.hmacHeaderName,
  };
}

export function createdWire({ webhook, secretKey }: WrittenWebhook) {
  return { ...webhookWire(webhook), secret_key: secretKey!.reveal() };
}

export function updatedWire({ webhook, secretKey }: WrittenWebhook) {
  return { ...shortWire(webhook), ...(secretKey && { secret_key: secretKey.reveal() }) };
}

export function attemptWire(attempt: LoggedAttempt) {
  return {
    id: attempt.id,
    http_method: attempt.method,
    target_url: attempt.targetUrl,
    source_ip: null,
    response_status: attempt.status,
    response_time_ms: attempt.responseTimeMs,
    executed_at: isoTime(attempt.executedAtMs),
    success: attempt.success,
    error_message: attempt.error,
    event_type: attempt.eventType,
    delivery_id: attempt.deliveryId,
    attempt: attempt.attempt,
    delivery_state: attempt.deliveryState,
  };
}
