import { hmacSha256 } from '../../../platform/crypto/hashing.js';

/** dataplane.md §11.3; the first is the default of `webhook-sign`. */
export const WEBHOOK_FORMATS = ['stripe', 'legacy', 'github', 'slack', 'aws-sns', 'custom'] as const;
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

/** Where each stands; of `custom` its owner says it. */
export const SIGNATURE_HEADERS: Readonly<Record<WebhookFormat, string>> = {
  legacy: 'X-Webhook-Signature',
  github: 'X-Hub-Signature-256',
  custom: '',
  'aws-sns': 'x-amz-sns-signature',
  stripe: 'Stripe-Signature',
  slack: 'X-Slack-Signature',
};
/** Beside that of `slack`. */
export const SLACK_TIMESTAMP = 'X-Slack-Request-Timestamp';

interface Format {
  /** What is signed before the payload. */
  readonly prefix?: (timestampSeconds: number) => string;
  readonly value: (mac: Buffer, timestampSeconds: number) => string;
}

const OF_BODY: Format = { value: (mac) => `sha256=${mac.toString('hex')}` };

const FORMATS: Readonly<Record<WebhookFormat, Format>> = {
  stripe: {
    prefix: (t) => `${t}.`,
    value: (mac, t) => `t=${t},v1=${mac.toString('hex')}`,
  },
  legacy: OF_BODY,
  github: OF_BODY,
  slack: {
    prefix: (t) => `v0:${t}:`,
    value: (mac) => `v0=${mac.toString('hex')}`,
  },
  'aws-sns': { value: (mac) => mac.toString('base64') },
  custom: OF_BODY,
};

/** The value of the signature header: HMAC-SHA256 in every format, whatever the key was made for. */
export function webhookSignature(
  format: WebhookFormat,
  key: Buffer,
  timestampSeconds: number,
  payload: Uint8Array,
): string {
  const { prefix, value } = FORMATS[format];
  const before = Buffer.from(prefix?.(timestampSeconds) ?? '');
  return value(hmacSha256(key, before, payload), timestampSeconds);
}
