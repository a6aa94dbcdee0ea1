import type { Clock } from '../../../kernel/clock.js';
import { AppError, isAppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import { MASK_TEXT } from '../../../kernel/secret.js';
import { ClientGone } from '../../../platform/egress/egress.js';
import type { ApiLogEntry, ApiLogs } from '../../api-logs/index.js';
import type { ProxyCall } from '../call.js';

export type CallLog = Pick<ApiLogs, 'assertRoom' | 'append' | 'appendAlone' | 'queuedRows'>;

/** As nginx writes it: the client left before there was an answer, so no status was seen by anyone. */
const CLIENT_GONE_STATUS = 499;

/** Tells the row of a call that was answered without being sent (docs/decisions/0066). */
const DRY_RUN = 'dry_run';

function errorName(failure: unknown): string | null {
  if (failure === null) return null;
  if (failure instanceof ClientGone) return 'client_disconnected';
  return failure instanceof AppError ? failure.type : 'internal_error';
}

/** Values of secrets that were sent are masked wherever they stand (dataplane §7), in the caller's own path too. */
function pathOf({ path, plan, injected }: ProxyCall): string | null {
  if (path === null) return null;
  let text = plan?.logText(path) ?? path;
  for (const { value } of injected) {
    // No form of it is shorter.
    if (text.length < value.reveal().length) continue;
    // Without halves of surrogate pairs, which nothing encodes.
    const raw = Buffer.from(value.reveal()).toString();
    if (Buffer.byteLength(raw) < LIMITS.echoValueBytesMin) continue;
    for (const form of new Set([raw, encodeURIComponent(raw), encodeURI(raw)]))
      text = text.replaceAll(form, MASK_TEXT);
  }
  return text;
}

/** Whoever shows a key is known by it; a client without one by its address or its certificate. */
function identificationOf({ client }: ProxyCall, { principal: { kind } }: Caller): string {
  return kind === 'client' && client !== null ? client.kind : kind;
}

/** Every call with a valid credential leaves one row, refused or not (dataplane §1.7). */
export function writeLogRow(log: CallLog, clock: Clock, call: ProxyCall, failure: unknown): void {
  const { caller, exchange } = call;
  if (caller === null) return;
  const nobodySawIt = failure instanceof ClientGone && !exchange.response.headersSent;
  const entry: ApiLogEntry = {
    scope: caller.principal.scope,
    requestId: exchange.requestId,
    routeId: call.route?.id ?? null,
    matchedClientId: call.client?.id ?? null,
    identificationMethod: identificationOf(call, caller),
    method: call.method,
    statusCode: nobodySawIt ? CLIENT_GONE_STATUS : exchange.response.statusCode,
    srcIp: caller.ip,
    environment: call.route?.environment ?? null,
    tsMs: call.receivedAtMs,
    path: pathOf(call),
    latencyMs: Math.round(clock.monotonicMs() - call.startedMs),
    upstreamHost: call.upstreamHost,
    error: errorName(failure) ?? (call.isDryRun ? DRY_RUN : null),
    rateLimited: isAppError(failure, 'rate_limit_exceeded'),
    proxyMode: call.mode,
    signatureValid: call.signatureValid,
    warning: call.usedExpired ? 'secret_expired' : null,
    echo: call.guard && { guarded: call.guard.guarded, notGuarded: call.guard.notGuarded },
    clientOrigin: call.headers.isFromSdkIntercept ? 'sdk_intercept' : 'direct',
  };
  // What was not sent is no event.
  const event = call.isDryRun ? null : call.watch?.completed(call, entry);
  log.append(entry, event ? [event] : undefined);
}
