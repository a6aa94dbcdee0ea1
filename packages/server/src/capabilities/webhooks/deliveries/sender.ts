import type { Clock } from '../../../kernel/clock.js';
import { AppError, isAppError } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { EgressPolicy } from '../../../platform/egress/egress.js';
import type { StatusCall } from '../../../platform/egress/status-calls.js';
import type { WebhookSigner } from '../../crypto-keys/index.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import type { WebhookParts } from '../sealed-parts.js';
import type { Webhook } from '../store.js';
import { messageOf, type SignWithKey, type WebhookEvent } from './message.js';

/** How one try ended. */
export interface Sent {
  readonly success: boolean;
  readonly status: number | null;
  readonly responseTimeMs: number | null;
  readonly error: string | null;
}

/** Nothing was tried, and nothing can be before then. */
export class Postponed extends Error {
  override readonly name = 'Postponed';
  constructor(
    readonly byMs: number,
    reason: string,
    cause?: unknown,
  ) {
    super(reason, { cause });
  }
}

export interface Sender {
  /** One try. Throws `Postponed`, and what is no fault of the receiver. */
  send(webhook: Webhook, event: WebhookEvent, signal?: AbortSignal): Promise<Sent>;
}

export interface SenderDeps {
  readonly clock: Clock;
  readonly statusCall: StatusCall;
  readonly parts: Pick<WebhookParts, 'open'>;
  readonly signer: Pick<WebhookSigner, 'sign'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  /** Undefined of one that is being removed. */
  slugOf(tenantId: TenantId): Promise<string | undefined>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly mayBePlain: boolean;
}

const SEALED_RETRY_MS = 30_000;
const SEALED = 'Waits: the tenant is sealed, so that nothing can be signed';

export function createSender(deps: SenderDeps): Sender {
  const { clock, statusCall, parts, signer, egressAllowlist, slugOf, mayBePlain } = deps;

  async function policyOf({ scope }: Webhook): Promise<EgressPolicy> {
    const [tenantSlug, allowedHosts] = await Promise.all([
      slugOf(scope.tenantId),
      egressAllowlist.hostsFor(scope),
    ]);
    if (tenantSlug === undefined) throw new Postponed(SEALED_RETRY_MS, 'Waits: the tenant is being removed');
    return { tenantSlug, allowedHosts, mayBePlain };
  }

  async function message(webhook: Webhook, event: WebhookEvent) {
    const { scope, id, hmacKeyId } = webhook;
    const withKey: SignWithKey | null =
      hmacKeyId === null ? null : (signed) => signer.sign(scope, hmacKeyId, signed);
    const opened = await parts.open(scope, id, webhook.sealed);
    return messageOf(webhook, event, opened, clock.nowMs(), withKey);
  }

  return {
    async send(webhook, event, signal) {
      const startedMs = clock.monotonicMs();
      try {
        const { headers, body } = await message(webhook, event);
        const { status, responseTimeMs } = await statusCall(
          {
            method: webhook.method,
            url: webhook.url,
            headers,
            body,
            timeoutMs: webhook.timeoutSeconds * 1_000,
          },
          await policyOf(webhook),
          signal,
        );
        const success = status >= 200 && status < 300;
        return { success, status, responseTimeMs, error: success ? null : statusText(status) };
      } catch (error) {
        if (isAppError(error, 'tenant_sealed')) throw new Postponed(SEALED_RETRY_MS, SEALED, error);
        if (!isFaultOfReceiver(error)) throw error;
        const responseTimeMs = Math.round(clock.monotonicMs() - startedMs);
        return { success: false, status: null, responseTimeMs, error: errorTextOf(error) };
      }
    },
  };
}

/** A key that is gone counts as one: the tries are used up, and the dead letter can be replayed. */
function isFaultOfReceiver(error: unknown): error is AppError {
  return (
    error instanceof AppError && error.type !== 'dependency_unavailable' && error.type !== 'internal_error'
  );
}

function errorTextOf(error: AppError): string {
  return error.type === 'not_found' || error.type === 'key_version_destroyed'
    ? 'not_found: the key that hmac_key_id names is gone'
    : `${error.type}: ${error.publicMessage}`;
}

function statusText(status: number): string {
  const isRedirect = status >= 300 && status < 400;
  return `The receiver answered ${status}${isRedirect ? '; redirects are not followed' : ''}`;
}
