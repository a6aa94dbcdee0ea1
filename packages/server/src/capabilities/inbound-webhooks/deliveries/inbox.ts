import type { Clock } from '../../../kernel/clock.js';
import type { IdSource } from '../../../kernel/ids.js';
import type { Transaction } from '../../../platform/storage/database.js';
import { type HopMarker, RequestHeaders } from '../../proxy/index.js';
import { inboxFull, invalidSignature } from '../errors.js';
import type { InboundWebhook, InboundWebhookStore } from '../store.js';
import { WAITING_BYTES_MAX, WAITING_MAX } from './bounds.js';
import type { SealedContents } from './content.js';
import { type InboundDelivery, type InboundDeliveryStore, ON_THEIR_WAY } from './store.js';

/** What is taken here is durable before its sender hears of it. */
export interface Inbox {
  /** 508 of what has been here before. Outside of any transaction. */
  prepare(webhook: InboundWebhook, request: ReceivedRequest): Promise<PreparedDelivery>;
  /** 503 where too much waits. */
  add(tx: Transaction, prepared: PreparedDelivery): Promise<void>;
}

export interface ReceivedRequest {
  readonly method: string;
  readonly query: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly ip: string | null;
}

export interface PreparedDelivery {
  readonly delivery: InboundDelivery;
  readonly contentEnvelope: Buffer;
}

export interface InboxDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly webhooks: Pick<InboundWebhookStore, 'find'>;
  readonly deliveries: InboundDeliveryStore;
  readonly contents: Pick<SealedContents, 'seal'>;
  readonly hopMarker: HopMarker;
  /** Of `KNOX_CLIENT_CERT_HEADER`. */
  readonly certificateHeader: string | null;
  /** After the commit. */
  wake(): void;
}

export function createInbox(deps: InboxDeps): Inbox {
  const { clock, ids, webhooks, deliveries, contents, hopMarker, certificateHeader, wake } = deps;
  return {
    async prepare({ scope, id: webhookId }, { method, query, rawHeaders, body, ip }) {
      // Strips what is of this hop, credentials, and whatever says X-Knox-…: the route and its environment are ours to name.
      const { forward, via } = new RequestHeaders(rawHeaders, certificateHeader);
      hopMarker.refuseLoop(via);
      const id = ids.uuid();
      const nowMs = clock.nowMs();
      const contentEnvelope = await contents.seal(scope, id, { query, headers: forward, via, body });
      const delivery: InboundDelivery = {
        id,
        scope,
        webhookId,
        state: 'waiting',
        dueAtMs: nowMs,
        attempts: 0,
        method,
        bytes: body.length,
        sourceIp: ip,
        lastStatus: null,
        lastError: null,
        lastRequestId: null,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      return { delivery, contentEnvelope };
    },

    async add(tx, { delivery, contentEnvelope }) {
      const { scope, webhookId, bytes } = delivery;
      await tx.lock('inbound_webhooks', webhookId);
      // Whoever has removed it meanwhile has removed what waited for it.
      const webhook = await webhooks.find(scope, webhookId, tx);
      if (!webhook?.enabled || webhook.routeId === null) throw invalidSignature();
      const before = await deliveries.totals(tx, scope, webhookId, ON_THEIR_WAY);
      if (before.count >= WAITING_MAX || before.bytes + bytes > WAITING_BYTES_MAX) throw inboxFull();
      await deliveries.insert(tx, delivery, { contentEnvelope });
      tx.afterCommit(wake);
    },
  };
}
