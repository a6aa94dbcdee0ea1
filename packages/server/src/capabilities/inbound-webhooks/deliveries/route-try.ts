import type { Clock } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import type { IdSource, RequestId } from '../../../kernel/ids.js';
import type { Caller, InboundWebhookPrincipal } from '../../../kernel/principal.js';
import { createLocalExchange } from '../../../platform/http/local-exchange.js';
import { type Accounts, isSubscriptionActive } from '../../accounts/index.js';
import type { RouteExchange, RouteProxy } from '../../proxy/index.js';
import type { InboundWebhook } from '../store.js';
import { TRY_MS_MAX } from './bounds.js';
import type { SealedContents } from './content.js';
import type { InboundDelivery, InboundDeliveryStore } from './store.js';

/** How a try ended. `postponed`: it was none, and says nothing of the route. */
export type RouteTried =
  | { readonly is: 'arrived' }
  | {
      readonly is: 'failed';
      readonly status: number | null;
      readonly error: string;
      readonly requestId: string;
    }
  | { readonly is: 'postponed'; readonly byMs: number; readonly error: string };

/** One call of the webhook's route with what was received, by the steps of every call of it. */
export type RouteTry = (
  webhook: InboundWebhook,
  delivery: InboundDelivery,
  signal: AbortSignal,
) => Promise<RouteTried>;

export interface RouteTryDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly deliveries: Pick<InboundDeliveryStore, 'content'>;
  readonly contents: Pick<SealedContents, 'open'>;
  readonly routeProxy: Pick<RouteProxy, 'serveRoute'>;
}

const PERMISSION = 'routes:invoke';
const UNOPENED_RETRY_MS = 30_000;
const PAUSED_RETRY_MS = 600_000;
const BUSY_RETRY_MS = 5_000;
const RETRY_MS_MAX = 3_600_000;
const ERROR_CHARACTERS_MAX = 300;
/** Ours, and over by themselves: no fault of the route that would use up its tries. */
const PASSING: ReadonlySet<string> = new Set([
  'rate_limit_exceeded',
  'dependency_unavailable',
  'tenant_sealed',
]);

export function createRouteTry(deps: RouteTryDeps): RouteTry {
  const { clock, ids, accounts, deliveries, contents, routeProxy } = deps;

  return async (webhook, delivery, signal) => {
    const { scope } = delivery;
    const tenant = await accounts.tenantById(scope.tenantId);
    if (tenant === undefined || !isSubscriptionActive(tenant.subscriptionStatus))
      return { is: 'postponed', byMs: PAUSED_RETRY_MS, error: 'Waits: the tenant is paused' };
    const envelope = await deliveries.content(scope, delivery.id);
    // Removed meanwhile, with its webhook.
    if (envelope === undefined) return { is: 'arrived' };
    let content: Awaited<ReturnType<SealedContents['open']>>;
    try {
      content = await contents.open(scope, delivery.id, envelope);
    } catch (error) {
      if (!(error instanceof AppError && PASSING.has(error.type))) throw error;
      return { is: 'postponed', byMs: UNOPENED_RETRY_MS, error: `Waits: ${toldOf(error)}` };
    }
    const requestId = ids.uuid() as RequestId;
    const caller: Caller = { principal: principalOf(webhook, tenant.slug), requestId, ip: delivery.sourceIp };
    const headers = [...content.headers, 'Content-Length', String(content.body.length)];
    if (content.via !== '') headers.push('Via', content.via);
    if (webhook.routeEnvironment !== null) headers.push('X-KnoxCall-Environment', webhook.routeEnvironment);
    const url = `/${content.query === '?' ? '' : content.query}`;
    const local = createLocalExchange({
      method: delivery.method,
      url,
      rawHeaders: headers,
      body: content.body,
    });
    const { response } = local;
    let refusal: unknown = null;
    const exchange: RouteExchange = {
      request: local.request,
      response,
      requestId,
      trace: null,
      entry: { reference: webhook.routeId!, path: url },
      source: { address: delivery.sourceIp ?? '', certificate: null },
      verified: { caller },
      authenticate: notAsked,
      host: notAsked,
      recognise: notAsked,
      refusedCaller: () => caller,
      refuse(cause) {
        refusal = cause;
        if (response.headersSent) response.destroy();
        else response.writeHead(cause instanceof AppError ? cause.status : 500).end();
      },
    };
    const abort = () => local.abort();
    signal.addEventListener('abort', abort, { once: true });
    // The route's own limits are of silence: an upstream that drips would keep the place of others.
    const cancel = clock.setTimer(TRY_MS_MAX, abort);
    try {
      if (signal.aborted) abort();
      await routeProxy.serveRoute(exchange);
    } finally {
      cancel();
      signal.removeEventListener('abort', abort);
    }
    return endOf(refusal, response.writableFinished ? response.statusCode : null, requestId);
  };
}

function toldOf({ type, publicMessage }: AppError): string {
  return `${type}: ${publicMessage}`.slice(0, ERROR_CHARACTERS_MAX);
}

function endOf(refusal: unknown, answered: number | null, requestId: string): RouteTried {
  if (refusal instanceof AppError) {
    const error = toldOf(refusal);
    if (!PASSING.has(refusal.type)) return { is: 'failed', status: refusal.status, error, requestId };
    const waitMs = (refusal.retryAfterSeconds ?? 0) * 1_000;
    return { is: 'postponed', byMs: Math.min(Math.max(waitMs, BUSY_RETRY_MS), RETRY_MS_MAX), error };
  }
  if (refusal !== null) return { is: 'failed', status: 500, error: 'internal_error', requestId };
  if (answered === null) return { is: 'failed', status: null, error: 'The answer broke off', requestId };
  if (answered >= 200 && answered < 300) return { is: 'arrived' };
  return { is: 'failed', status: answered, error: `The upstream answered ${answered}`, requestId };
}

/** It calls routes and does nothing else. */
function principalOf({ id, scope }: InboundWebhook, tenantSlug: string): InboundWebhookPrincipal {
  return {
    kind: 'inbound_webhook',
    scope,
    tenantSlug,
    inboundWebhookId: id,
    apiKeyId: null,
    keyId: null,
    userId: null,
    rateLimit: null,
    grants: [],
    may: (permission) => permission === PERMISSION,
  };
}

function notAsked(): never {
  throw new Error('of a request that was verified nobody asks who calls');
}
