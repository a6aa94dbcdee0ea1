import type { Clock } from '../../kernel/clock.js';
import {
  isAppError,
  notFound,
  permissionMissing,
  validationError,
  validationErrors,
} from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import { wireName } from '../../kernel/wire-name.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { WebhookSigner } from '../crypto-keys/index.js';
import type { TargetCheck } from '../egress-allowlist/index.js';
import type { RouteTable } from '../routes/index.js';
import { inboundWebhookEntry } from './audit.js';
import type { InboundDeliveryStore } from './deliveries/store.js';
import { nameTaken, tooManyInboundWebhooks } from './errors.js';
import type { SealedSecrets } from './sealed-secret.js';
import type {
  InboundWebhook,
  InboundWebhookListOptions,
  InboundWebhookStore,
  InboundWebhookTerms,
} from './store.js';

export interface NewInboundWebhook extends InboundWebhookTerms {
  readonly secret: Secret<string> | null;
}

type Target = Pick<InboundWebhookTerms, 'targetUrl' | 'routeId' | 'routeEnvironment'>;

/** What is absent stays. */
export type InboundWebhookChanges = Partial<NewInboundWebhook>;

export interface InboundWebhookRecords {
  create(caller: Caller, input: NewInboundWebhook): Promise<InboundWebhook>;
  list(caller: Caller, options: InboundWebhookListOptions): Promise<Page<InboundWebhook>>;
  get(caller: Caller, id: string): Promise<InboundWebhook>;
  update(caller: Caller, id: string, changes: InboundWebhookChanges): Promise<InboundWebhook>;
  delete(caller: Caller, id: string): Promise<void>;
}

export interface InboundWebhookRecordsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: InboundWebhookStore;
  readonly sealed: SealedSecrets;
  readonly signer: Pick<WebhookSigner, 'check'>;
  readonly targets: TargetCheck;
  readonly routes: Pick<RouteTable, 'find'>;
  readonly deliveries: Pick<InboundDeliveryStore, 'deleteOf'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** After the commit. */
  wake(): void;
}

/** Due wherever requests are led to a route: what the webhook may have called is what its keeper may call. */
export function requireInvoke(principal: Principal): void {
  if (!principal.may('routes:invoke')) throw permissionMissing('routes:invoke');
}

export function createInboundWebhookRecords(deps: InboundWebhookRecordsDeps): InboundWebhookRecords {
  const { db, clock, ids, store, sealed, signer, targets, routes, deliveries, auditLogs, wake } = deps;

  async function find(scope: Scope, id: string, tx?: Transaction): Promise<InboundWebhook> {
    const webhook = isUuid(id) ? await store.find(scope, id.toLowerCase(), tx) : undefined;
    if (!webhook) throw notFound('Inbound webhook');
    return webhook;
  }

  async function requireKey(principal: Principal, keyId: string): Promise<void> {
    if (!principal.may('crypto:verify')) throw permissionMissing('crypto:verify');
    try {
      await signer.check(principal.scope, keyId, 'hmac_key_id');
    } catch (error) {
      if (isAppError(error, 'not_found')) throw validationError('hmac_key_id', 'names no crypto key');
      throw error;
    }
  }

  async function requireRoute(principal: Principal, { routeId, routeEnvironment }: Target): Promise<void> {
    if (routeId === null) return;
    requireInvoke(principal);
    const route = await routes.find(principal.scope, routeId);
    if (route?.id !== routeId) throw validationError('route_id', 'names no route of this mode');
    if (routeEnvironment !== null && !route.environments.has(routeEnvironment))
      throw validationError('route_environment', 'names no environment that the route is configured for');
  }

  async function requireFree(tx: Transaction, { scope, id, name }: InboundWebhook): Promise<void> {
    const holder = await store.findByName(scope, name, tx);
    if (holder !== undefined && holder.id !== id) throw nameTaken();
  }

  return {
    async create(caller, { secret, ...terms }) {
      const { principal } = caller;
      const { scope } = principal;
      requireFits(terms, secret !== null);
      if (terms.hmacKeyId !== null) await requireKey(principal, terms.hmacKeyId);
      if (terms.targetUrl !== null) await targets.check(principal, terms.targetUrl, 'target_url');
      await requireRoute(principal, terms);
      const id = ids.uuid();
      const nowMs = clock.nowMs();
      const secretEnvelope = secret && (await sealed.seal(scope, id, secret));
      const webhook = { ...terms, id, scope, secretEnvelope, createdAtMs: nowMs, updatedAtMs: nowMs };
      return db.transaction(async (tx) => {
        if ((await store.count(scope, tx)) >= LIMITS.inboundWebhooksMax) throw tooManyInboundWebhooks();
        await requireFree(tx, webhook);
        await store.insert(tx, webhook);
        await auditLogs.record(tx, actorOf(caller), inboundWebhookEntry('webhook.create', webhook));
        await recordAnswer(tx, caller, webhook);
        return webhook;
      });
    },

    async list({ principal: { scope } }, options) {
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: (caller, id) => find(caller.principal.scope, id),

    async update(caller, id, { secret, ...changes }) {
      const { principal } = caller;
      const { scope } = principal;
      const former = await find(scope, id);
      const after = { ...former, ...changes };
      if (changes.hmacKeyId && changes.hmacKeyId !== former.hmacKeyId)
        await requireKey(principal, changes.hmacKeyId);
      if (after.targetUrl !== null && !targets.isSame(after.targetUrl, former.targetUrl ?? ''))
        await targets.check(principal, after.targetUrl, 'target_url');
      // Who sets what its requests are verified by, or switches it on, can have the route called.
      if (former.routeId !== null || after.routeId !== null) requireInvoke(principal);
      if (changes.routeId !== undefined || changes.routeEnvironment !== undefined)
        await requireRoute(principal, after);
      const envelope = secret && (await sealed.seal(scope, former.id, secret));
      return db.transaction(async (tx) => {
        await tx.lock('inbound_webhooks', former.id);
        const before = await find(scope, former.id, tx);
        const webhook: InboundWebhook = {
          ...before,
          ...changes,
          secretEnvelope: envelope === undefined ? before.secretEnvelope : envelope,
          updatedAtMs: clock.nowMs(),
        };
        requireFits(webhook, webhook.secretEnvelope !== null);
        await requireFree(tx, webhook);
        await store.update(tx, webhook);
        tx.afterCommit(wake);
        const changed = [...Object.keys(changes), ...(secret === undefined ? [] : ['secret'])].map(wireName);
        const entry = inboundWebhookEntry('webhook.update', webhook, { changed });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, webhook);
        return webhook;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const { id: rowId } = await find(scope, id, tx);
        // Held: nothing is taken for it meanwhile.
        await tx.lock('inbound_webhooks', rowId);
        const webhook = await find(scope, rowId, tx);
        await deliveries.deleteOf(tx, scope, webhook.id);
        await store.delete(tx, scope, webhook.id);
        await auditLogs.record(tx, actorOf(caller), inboundWebhookEntry('webhook.delete', webhook));
        await recordAnswer(tx, caller, undefined);
      });
    },
  };
}

/** One key, and a header name where the format has none of its own. */
function requireFits(terms: InboundWebhookTerms, hasSecret: boolean): void {
  requireOneTarget(terms);
  const { format, headerName, hmacKeyId } = terms;
  if ((format === 'custom') !== (headerName !== null))
    throw validationError(
      'header_name',
      format === 'custom' ? 'is due with format custom' : 'goes with format custom alone',
    );
  if (hasSecret !== (hmacKeyId !== null)) return;
  const rule = hasSecret
    ? 'goes without the other: one of secret and hmac_key_id is null'
    : 'is due: one of secret and hmac_key_id';
  throw validationErrors(
    new Map([
      ['secret', [rule]],
      ['hmac_key_id', [rule]],
    ]),
  );
}

function requireOneTarget({ targetUrl, routeId, routeEnvironment }: Target): void {
  if (routeEnvironment !== null && routeId === null)
    throw validationError('route_environment', 'goes with route_id alone');
  if ((targetUrl === null) !== (routeId === null)) return;
  const rule =
    targetUrl === null
      ? 'is due: one of target_url and route_id'
      : 'goes without the other: one of target_url and route_id is null';
  throw validationErrors(
    new Map([
      ['target_url', [rule]],
      ['route_id', [rule]],
    ]),
  );
}
