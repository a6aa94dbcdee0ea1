import type { ServerResponse } from 'node:http';
import type { Clock } from '../../kernel/clock.js';
import { AppError, isAppError, rateLimitExceeded } from '../../kernel/errors.js';
import type { RequestId, TenantId } from '../../kernel/ids.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { hmacSha256, sha256 } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import { ClientGone } from '../../platform/egress/egress.js';
import { isTenantSlug } from '../../platform/http/hosts.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type Accounts, isSubscriptionActive, type Tenant } from '../accounts/index.js';
import type { ApiLogs } from '../api-logs/index.js';
import { type WebhookSigner, webhookSignature } from '../crypto-keys/index.js';
import type { Inbox } from './deliveries/inbox.js';
import { invalidSignature, replayWindowExceeded, signatureMissing } from './errors.js';
import type { Forward } from './forward.js';
import { NAME } from './schemas.js';
import type { SealedSecrets } from './sealed-secret.js';
import type { InboundWebhook, InboundWebhookStore } from './store.js';
import {
  fits,
  type GivenSignature,
  hasAnySignature,
  isSigned,
  macText,
  readSignature,
  sentAtMs,
} from './verification.js';

export interface InboundRequest {
  readonly requestId: RequestId;
  readonly ip: string | null;
  readonly method: string;
  /** A slug; of test mode with `sandbox-` before it, as tenant hosts have it. */
  readonly tenant: string;
  readonly name: string;
  readonly query: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly response: ServerResponse;
}

export interface InboundEntry {
  /** Before the body is read: 429 of a network that asks too much, or has failed too often. */
  admit(ip: string | null): void;
  /** Verifies and passes on; what it throws is to be answered, unless the answer has begun. */
  serve(request: InboundRequest): Promise<void>;
}

export interface InboundEntryDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: InboundWebhookStore;
  readonly sealed: Pick<SealedSecrets, 'open'>;
  readonly signer: Pick<WebhookSigner, 'signatures'>;
  readonly accounts: Pick<Accounts, 'tenantBySlug'>;
  readonly apiLogs: Pick<ApiLogs, 'assertRoom' | 'append'>;
}

interface Found {
  readonly tenant: Tenant;
  readonly webhook: InboundWebhook;
}

const MINUTE_MS = 60_000;
const UNDATED_KEPT_MS = 30 * 24 * 60 * MINUTE_MS;
const NETWORKS_MAX = 10_000;
const SANDBOX_PREFIX = 'sandbox-';
/** Of nobody: what is asked for a tenant that does not exist. */
const NO_TENANT = '00000000-0000-4000-8000-000000000000' as TenantId;

export function createInboundEntry(
  deps: InboundEntryDeps & { readonly forward: Forward; readonly inbox: Inbox },
): InboundEntry {
  const { db, clock, random, store, sealed, signer, accounts, apiLogs, forward, inbox } = deps;
  const windows = { windowMs: MINUTE_MS, namesMax: NETWORKS_MAX };
  const requests = createCountWindows(clock, windows);
  const failures = createCountWindows(clock, windows);
  const nobodysKey = random.bytes(32);

  /** Unknown, switched off, of a paused tenant: all the same, after the same two queries. */
  async function find({ tenant: label, name }: InboundRequest): Promise<Found | null> {
    const sandbox = label.startsWith(SANDBOX_PREFIX);
    const slug = sandbox ? label.slice(SANDBOX_PREFIX.length) : label;
    // What could be no name is asked for as one that nobody has.
    const tenant = await accounts.tenantBySlug(isTenantSlug(slug) ? slug : '');
    const scope = { tenantId: tenant?.id ?? NO_TENANT, sandbox };
    const webhook = await store.findByName(scope, NAME.test(name) ? name : '');
    const isServed =
      tenant !== undefined && isSubscriptionActive(tenant.subscriptionStatus) && webhook?.enabled;
    return isServed ? { tenant, webhook } : null;
  }

  /** As header values have it: by the secret, or by the key's version of now and the one before. */
  async function expected(webhook: InboundWebhook, given: GivenSignature, body: Buffer): Promise<string[]> {
    const { scope, id, format, hmacKeyId, secretEnvelope } = webhook;
    const message = { format, timestampSeconds: given.timestampSeconds ?? 0, body };
    if (hmacKeyId !== null) return signer.signatures(scope, hmacKeyId, message);
    const key = (await sealed.open(scope, id, secretEnvelope!)).reveal();
    const value = webhookSignature(format, key, message.timestampSeconds, body);
    key.fill(0);
    return [value];
  }

  /** What it was signed with, where that fits. */
  async function verify(found: Found | null, { rawHeaders, body }: InboundRequest) {
    const given = found && readSignature(found.webhook, rawHeaders);
    if (found === null || given === null || !isSigned(found.webhook.format, given)) {
      // As much work as for one that is there.
      hmacSha256(nobodysKey, body);
      throw given !== null || hasAnySignature(rawHeaders) ? invalidSignature() : signatureMissing();
    }
    const { format } = found.webhook;
    const values = await expected(found.webhook, given, body);
    const macs = values.map((value) => macText(format, value));
    if (!fits(given.candidates, macs)) throw invalidSignature();
    return given;
  }

  /**
   * Neither too old nor here before. The name of what is kept of it, null where neither is judged. `along` commits with it.
   */
  async function takeOnce(
    { scope, id, format, toleranceSeconds }: InboundWebhook,
    given: GivenSignature,
    body: Buffer,
    along?: (tx: Transaction) => Promise<void>,
  ): Promise<string | null> {
    if (toleranceSeconds === 0) {
      if (along) await db.transaction(along);
      return null;
    }
    const toleranceMs = toleranceSeconds * 1_000;
    const nowMs = clock.nowMs();
    const sentMs = sentAtMs(given, body);
    if (sentMs === undefined && format === 'legacy')
      throw replayWindowExceeded('does not say in its body when it was sent');
    if (sentMs !== undefined && Math.abs(nowMs - sentMs) > toleranceMs)
      throw replayWindowExceeded(`is older than ${toleranceSeconds} seconds, or from the future`);
    // Not by the MAC: while a key has two versions one request can carry one of each.
    const what = `${id}\0${given.timestampSeconds ?? ''}\0${sha256(body).toString('base64url')}`;
    const receipt = sha256(Buffer.from(what)).toString('base64url');
    // As long as it could be sent again and pass: where nothing says when it was sent, that has no end of its own.
    const endsMs = sentMs === undefined ? nowMs + UNDATED_KEPT_MS : Math.max(nowMs, sentMs) + toleranceMs;
    if (!(await store.take(scope, receipt, endsMs, nowMs, along)))
      throw replayWindowExceeded('was here before');
    return receipt;
  }

  async function passOn(found: Found, request: InboundRequest): Promise<void> {
    const { webhook, tenant } = found;
    const given = await verify(found, request);
    if (webhook.routeId !== null) return keep(webhook, given, request);
    const receipt = await takeOnce(webhook, given, request.body);
    let status = 0;
    try {
      status = await forward.send(webhook, tenant.slug, request);
    } finally {
      // It has not arrived: the sender may send the same once more.
      if (receipt !== null && (status === 0 || status >= 500)) await store.release(webhook.scope, receipt);
    }
  }

  /** For a route: with its receipt, so that it is taken once and not lost. */
  async function keep(
    webhook: InboundWebhook,
    given: GivenSignature,
    request: InboundRequest,
  ): Promise<void> {
    const prepared = await inbox.prepare(webhook, request);
    await takeOnce(webhook, given, request.body, (tx) => inbox.add(tx, prepared));
    const { response, requestId } = request;
    const accepted = { accepted: true, delivery_id: prepared.delivery.id };
    const text = JSON.stringify({ data: accepted, meta: { request_id: requestId } });
    response.writeHead(202, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
      'X-Request-Id': requestId,
    });
    response.end(text);
  }

  function log(
    { webhook }: Found,
    request: InboundRequest,
    began: { readonly atMs: number; readonly monotonicMs: number },
    failure: unknown,
  ): void {
    const { response, ip, method, tenant, name, requestId } = request;
    const isGone = failure instanceof ClientGone;
    const status = failure === null || response.headersSent ? response.statusCode : statusOf(failure);
    apiLogs.append({
      scope: webhook.scope,
      requestId,
      routeId: null,
      matchedClientId: null,
      identificationMethod: 'webhook_signature',
      method,
      statusCode: isGone && !response.headersSent ? 499 : status,
      srcIp: ip,
      environment: null,
      tsMs: began.atMs,
      path: `/hooks/${tenant}/${name}`,
      latencyMs: Math.round(clock.monotonicMs() - began.monotonicMs),
      upstreamHost: forward.hostOf(webhook),
      error: failure === null ? null : isGone ? 'client_disconnected' : typeOf(failure),
      rateLimited: false,
      proxyMode: 'route',
      clientOrigin: 'direct',
      echo: null,
      signatureValid: verdictOf(failure),
      warning: null,
    });
  }

  return {
    admit(ip) {
      const network = networkOf(ip);
      const asked = requests(network);
      const failed = failures(network);
      const isOver =
        asked.count >= LIMITS.inboundRequestsPerNetworkMax
          ? asked
          : failed.count >= LIMITS.inboundFailuresPerNetworkMax
            ? failed
            : null;
      if (isOver !== null)
        throw rateLimitExceeded('Too many requests from this network', {
          retryAfterSeconds: Math.max(1, Math.ceil(isOver.leftMs() / 1_000)),
        });
      asked.count++;
    },

    async serve(request) {
      const began = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
      apiLogs.assertRoom();
      const found = await find(request);
      let failure: unknown = null;
      try {
        if (found === null) await verify(null, request);
        else await passOn(found, request);
      } catch (error) {
        failure = error;
        if (isAppError(error, 'invalid_signature') || isAppError(error, 'signature_missing'))
          failures(networkOf(request.ip)).count++;
        throw error;
      } finally {
        if (found !== null) log(found, request, began, failure);
      }
    },
  };
}

const statusOf = (failure: unknown) => (failure instanceof AppError ? failure.status : 500);
const typeOf = (failure: unknown) => (failure instanceof AppError ? failure.type : 'internal_error');

/** Null where it could not be computed. */
function verdictOf(failure: unknown): boolean | null {
  if (isAppError(failure, 'invalid_signature') || isAppError(failure, 'signature_missing')) return false;
  return statusOf(failure) === 503 ? null : true;
}
