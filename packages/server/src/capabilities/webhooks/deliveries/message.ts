import { isoTime } from '../../../kernel/clock.js';
import type { Secret } from '../../../kernel/secret.js';
import {
  SIGNATURE_HEADERS,
  SLACK_TIMESTAMP,
  type WebhookFormat,
  webhookSignature,
} from '../../crypto-keys/index.js';
import { AUDIT_EVENT } from '../event-types.js';
import type { OpenedParts } from '../sealed-parts.js';
import type { Webhook } from '../store.js';

/** What is delivered. */
export interface WebhookEvent {
  /** Of the delivery, the same over its tries. */
  readonly deliveryId: string;
  readonly type: string;
  /** JSON text. */
  readonly data: string;
  readonly occurredAtMs: number;
}

export type SignWithKey = (message: {
  readonly format: WebhookFormat;
  readonly timestampSeconds: number;
  readonly body: Uint8Array;
}) => Promise<string>;

export interface Message {
  /** Flat name, value list. */
  readonly headers: readonly string[];
  /** Null of a GET, which has none: its signature is that of no bytes. */
  readonly body: Buffer | null;
}

/** Ours in every delivery; in lower case. */
export const OWN_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'user-agent',
  'x-webhook-id',
  'x-webhook-event',
  'x-webhook-timestamp',
  SLACK_TIMESTAMP.toLowerCase(),
  ...Object.values(SIGNATURE_HEADERS)
    .filter((name) => name !== '')
    .map((name) => name.toLowerCase()),
]);

/**
 * Body and headers of one try, made anew for each: verifiers without a signed time take that of the body, and refuse what is
 * older than five minutes (dataplane.md §11.3). When the event occurred stands beside it.
 */
export async function messageOf(
  webhook: Webhook,
  event: WebhookEvent,
  parts: OpenedParts,
  nowMs: number,
  signWithKey: SignWithKey | null,
): Promise<Message> {
  const timestampSeconds = Math.floor(nowMs / 1_000);
  const body = webhook.method === 'GET' ? null : Buffer.from(bodyText(webhook, event, nowMs), 'utf8');
  const signed = { format: webhook.hmacFormat, timestampSeconds, body: body ?? Buffer.alloc(0) };
  const signature = signWithKey === null ? signedBySecret(parts.secret, signed) : await signWithKey(signed);
  const headers = [
    ...Object.entries(parts.headers?.reveal() ?? {}).flat(),
    ...authHeader(parts),
    ...(body === null ? [] : ['Content-Type', 'application/json']),
    'User-Agent',
    'KnoxCall-Webhooks/1',
    'X-Webhook-Id',
    event.deliveryId,
    'X-Webhook-Event',
    event.type,
    'X-Webhook-Timestamp',
    String(timestampSeconds),
    signatureHeaderOf(webhook),
    signature,
    ...(webhook.hmacFormat === 'slack' ? [SLACK_TIMESTAMP, String(timestampSeconds)] : []),
  ];
  return { headers, body };
}

export function signatureHeaderOf({
  hmacFormat,
  hmacHeaderName,
}: Pick<Webhook, 'hmacFormat' | 'hmacHeaderName'>): string {
  return hmacFormat === 'custom' ? hmacHeaderName! : SIGNATURE_HEADERS[hmacFormat];
}

/** `data` is a JSON text already. */
function bodyText(webhook: Webhook, { type, data, occurredAtMs }: WebhookEvent, nowMs: number): string {
  const head = {
    event: type,
    timestamp: isoTime(nowMs),
    ...(type !== AUDIT_EVENT && { webhook_id: webhook.id, webhook_name: webhook.name }),
    occurred_at: isoTime(occurredAtMs),
  };
  return `${JSON.stringify(head).slice(0, -1)},"data":${data}}`;
}

function signedBySecret(
  secret: Secret<string>,
  { format, timestampSeconds, body }: { format: WebhookFormat; timestampSeconds: number; body: Uint8Array },
): string {
  return webhookSignature(format, Buffer.from(secret.reveal(), 'utf8'), timestampSeconds, body);
}

function authHeader({ auth }: OpenedParts): readonly string[] {
  const config = auth?.reveal();
  if (config === undefined) return [];
  if ('token' in config) return ['Authorization', `Bearer ${config.token}`];
  if ('name' in config) return [config.name, config.value];
  const pair = Buffer.from(`${config.username}:${config.password}`, 'utf8').toString('base64');
  return ['Authorization', `Basic ${pair}`];
}
