import type { Clock } from '../../kernel/clock.js';
import { isAppError, notFound, permissionMissing, validationError } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { wireName } from '../../kernel/wire-name.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type AuditChain, type AuditLogs, mayReadDetails } from '../audit-logs/index.js';
import type { WebhookSigner } from '../crypto-keys/index.js';
import type { TargetCheck } from '../egress-allowlist/index.js';
import { webhookEntry } from './audit.js';
import type { DeliveryStore } from './deliveries/store.js';
import { credentialsDueAgain, mayShowMore, tooManyWebhooks } from './errors.js';
import { AUDIT_EVENT } from './event-types.js';
import type { AuditMarkStore } from './feeds/marks.js';
import { readAuthConfig, readRequestHeaders, requireFormatFits } from './rules.js';
import type { PartsToSeal, WebhookParts } from './sealed-parts.js';
import type { SealedParts, Webhook, WebhookListOptions, WebhookStore, WebhookTerms } from './store.js';

type Texts = Secret<Readonly<Record<string, string>>>;

export interface NewWebhook extends WebhookTerms {
  readonly authConfig: Texts | null;
  readonly requestHeaders: Texts | null;
}

/** What is absent stays. `secretKey: null` asks for a new one. */
export type WebhookChanges = Partial<NewWebhook> & { readonly secretKey?: Secret<string> | null };

export interface WrittenWebhook {
  readonly webhook: Webhook;
  /** Where one was made: it is shown once. */
  readonly secretKey: Secret<string> | null;
}

export interface WebhookRecords {
  create(caller: Caller, input: NewWebhook): Promise<WrittenWebhook>;
  list(caller: Caller, options: WebhookListOptions): Promise<Page<Webhook>>;
  get(caller: Caller, id: string): Promise<Webhook>;
  update(caller: Caller, id: string, changes: WebhookChanges): Promise<WrittenWebhook>;
  delete(caller: Caller, id: string): Promise<void>;
}

export interface WebhookRecordsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly auditChain: Pick<AuditChain, 'heads'>;
  readonly webhooks: WebhookStore;
  readonly deliveries: Pick<DeliveryStore, 'hasUndelivered'>;
  readonly marks: AuditMarkStore;
  readonly parts: WebhookParts;
  readonly signer: Pick<WebhookSigner, 'check'>;
  readonly targets: TargetCheck;
  /** With every change, in its transaction. */
  changed(tx: Transaction, scope: Scope): Promise<void>;
  /** A removal waits, or deliveries that were held back. */
  wake(): void;
}

const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 32;

export function createWebhookRecords(deps: WebhookRecordsDeps): WebhookRecords {
  const {
    db,
    clock,
    ids,
    random,
    auditLogs,
    auditChain,
    webhooks,
    deliveries,
    marks,
    parts,
    signer,
    targets,
  } = deps;

  async function find(scope: Scope, id: string, tx?: Transaction): Promise<Webhook> {
    const webhook = isUuid(id) ? await webhooks.find(scope, id.toLowerCase(), tx) : undefined;
    if (!webhook) throw notFound('Webhook');
    return webhook;
  }

  const newSecret = () => new Secret(`${SECRET_PREFIX}${random.bytes(SECRET_BYTES).toString('base64url')}`);

  async function requireKey(principal: Principal, keyId: string): Promise<void> {
    if (!principal.may('crypto:sign')) throw permissionMissing('crypto:sign');
    try {
      await signer.check(principal.scope, keyId, 'hmac_key_id');
    } catch (error) {
      if (isAppError(error, 'not_found')) throw validationError('hmac_key_id', 'names no crypto key');
      throw error;
    }
  }

  function requireMayHear({ may }: Principal, terms: WebhookTerms): void {
    if (terms.eventTypes.includes(AUDIT_EVENT) && !may('audit_log:list'))
      throw permissionMissing('audit_log:list');
  }

  /** Where its rows begin for a tenant that has had no webhook for them. */
  async function headOf({ tenantId }: Scope): Promise<number> {
    return (await auditChain.heads([tenantId])).get(tenantId) ?? 0;
  }

  async function written(tx: Transaction, webhook: Webhook, head: number): Promise<void> {
    if (webhook.enabled && webhook.eventTypes.includes(AUDIT_EVENT))
      await marks.add(tx, { tenantId: webhook.scope.tenantId, sequenceNumber: head });
    await deps.changed(tx, webhook.scope);
    tx.afterCommit(deps.wake);
  }

  return {
    async create(caller, { authConfig, requestHeaders, ...terms }) {
      const { principal } = caller;
      const { scope } = principal;
      requireFormatFits(terms);
      const auth = readAuthConfig(terms.authType, authConfig?.reveal() ?? null, terms);
      const headers = readRequestHeaders(requestHeaders?.reveal() ?? null, terms);
      requireMayHear(principal, terms);
      if (terms.hmacKeyId !== null) await requireKey(principal, terms.hmacKeyId);
      await targets.check(principal, terms.url);
      const id = ids.uuid();
      const nowMs = clock.nowMs();
      const secretKey = newSecret();
      const sealed = (await parts.seal(scope, id, { auth, headers, secret: secretKey })) as SealedParts;
      const webhook: Webhook = {
        ...terms,
        id,
        scope,
        sealed,
        ...readersOf(principal),
        nextAtMs: null,
        triggerCount: 0,
        successCount: 0,
        failureCount: 0,
        lastTriggeredAtMs: null,
        lastSuccessAtMs: null,
        lastFailureAtMs: null,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      const head = await headOf(scope);
      return db.transaction(async (tx) => {
        if ((await webhooks.count(scope, tx)) >= LIMITS.webhooksMax) throw tooManyWebhooks();
        await webhooks.insert(tx, webhook);
        await written(tx, webhook, head);
        await auditLogs.record(tx, actorOf(caller), webhookEntry('webhook.create', webhook));
        const result = { webhook, secretKey };
        await recordAnswer(tx, caller, result);
        return result;
      });
    },

    async list(caller, options) {
      const { scope } = caller.principal;
      const [rows, total] = await Promise.all([webhooks.list(scope, options), webhooks.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: (caller, id) => find(caller.principal.scope, id),

    async update(caller, id, changes) {
      const { principal } = caller;
      const { scope } = principal;
      const former = await find(scope, id);
      const judged = judge(former, changes);
      if (judged.isElsewhere) await targets.check(principal, judged.after.url);
      const { hmacKeyId } = changes;
      if (hmacKeyId && hmacKeyId !== former.hmacKeyId) await requireKey(principal, hmacKeyId);
      if (judged.isHeardAnew) requireMayHear(principal, judged.after);
      const made = changes.secretKey === null ? newSecret() : null;
      const secret = made ?? changes.secretKey ?? undefined;
      const sealed = await parts.seal(scope, former.id, { ...judged.parts, ...(secret && { secret }) });
      const head = await headOf(scope);
      return db.transaction(async (tx) => {
        await tx.lock('webhooks', former.id);
        const before = await find(scope, former.id, tx);
        // What another call has changed meanwhile is judged again.
        const { terms, isElsewhere, isHeardAnew } = judge(before, changes);
        if (isElsewhere && !mayReadAll(principal) && (await deliveries.hasUndelivered(tx, scope, before.id)))
          throw mayShowMore();
        const webhook: Webhook = {
          ...before,
          ...terms,
          sealed: { ...before.sealed, ...sealed },
          ...(isHeardAnew && readersOf(principal)),
          updatedAtMs: clock.nowMs(),
        };
        await webhooks.update(tx, webhook);
        await written(tx, webhook, head);
        const changed = Object.keys(changes).map(wireName);
        await auditLogs.record(tx, actorOf(caller), webhookEntry('webhook.update', webhook, { changed }));
        const result = { webhook, secretKey: made };
        await recordAnswer(tx, caller, result);
        return result;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const webhook = await find(scope, id, tx);
        await webhooks.delete(tx, scope, webhook.id);
        await deps.changed(tx, scope);
        tx.afterCommit(deps.wake);
        await auditLogs.record(tx, actorOf(caller), webhookEntry('webhook.delete', webhook));
        await recordAnswer(tx, caller, undefined);
      });
    },
  };

  /** What the changes make of it: they have to fit each other and what stays. */
  function judge(before: Webhook, changes: WebhookChanges) {
    const { authConfig, requestHeaders, secretKey, ...terms } = changes;
    const after: WebhookTerms = { ...before, ...terms };
    requireFormatFits(after);
    const isElsewhere = after.url !== before.url && !targets.isSame(after.url, before.url);
    if (isElsewhere) requireCredentials(before, changes);
    const isOtherAuth = after.authType !== before.authType;
    const parts: PartsToSeal = {
      ...((authConfig !== undefined || isOtherAuth) && {
        auth: readAuthConfig(after.authType, authConfig?.reveal() ?? null, after),
      }),
      ...(requestHeaders !== undefined && {
        headers: readRequestHeaders(requestHeaders?.reveal() ?? null, after),
      }),
    };
    return { terms, after, parts, isElsewhere, isHeardAnew: isElsewhere || changes.eventTypes !== undefined };
  }
}

/** contract README §10: who sends it elsewhere sends along what is sent there. */
function requireCredentials({ sealed }: Webhook, changes: WebhookChanges): void {
  const missing = [
    ...(sealed.auth !== null && changes.authConfig === undefined ? ['auth_config'] : []),
    ...(sealed.headers !== null && changes.requestHeaders === undefined ? ['request_headers'] : []),
    ...(changes.secretKey === undefined ? ['secret_key'] : []),
  ];
  if (missing.length > 0) throw credentialsDueAgain(missing);
}

/** What was made for a former writer, and has not arrived, is sent wherever the webhook leads by then. */
function mayReadAll(principal: Principal): boolean {
  const { showsDetails, showsIdentity } = readersOf(principal);
  return showsDetails && showsIdentity;
}

/** Deliveries have no reader of their own: they show what whoever asked for them may read. */
function readersOf(principal: Principal): Pick<Webhook, 'showsDetails' | 'showsIdentity'> {
  return {
    showsDetails: mayReadDetails(principal),
    showsIdentity: principal.may('log:read_identity'),
  };
}
