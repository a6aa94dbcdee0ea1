import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import { batchReport, type JobContext, type JobReport } from '../../../platform/jobs/definition.js';
import type { Database } from '../../../platform/storage/database.js';
import type { FanOut, Wanted } from '../deliveries/fan-out.js';
import type { Webhook, WebhookStore } from '../store.js';
import type { CallData, CallEventStore, StoredCallEvent } from './call-store.js';

/** Makes deliveries of what happened to calls; the rows leave once their deliveries are durable. */
export interface CallFeed {
  run(context: Pick<JobContext, 'batchMax' | 'fence'>): Promise<JobReport>;
}

export interface CallFeedDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: CallEventStore;
  readonly webhooks: WebhookStore;
  readonly fanOut: FanOut;
}

export function createCallFeed({ db, clock, events, webhooks, fanOut }: CallFeedDeps): CallFeed {
  async function deliver(
    scope: Scope,
    stored: readonly StoredCallEvent[],
    { fence }: Pick<JobContext, 'fence'>,
  ): Promise<void> {
    await db.transaction(async (tx) => {
      await fence(tx);
      const enabled = await webhooks.listEnabled(scope, tx);
      const wanted = enabled.flatMap((webhook) => stored.flatMap((event) => wantedOf(webhook, event)));
      await fanOut.deliver(tx, scope, wanted, clock.nowMs());
    });
  }

  return {
    async run(context) {
      const stored = await events.list(context.batchMax);
      const byScope = new Map<string, StoredCallEvent[]>();
      for (const event of stored) {
        const name = `${event.scope.tenantId}:${event.scope.sandbox}`;
        byScope.set(name, [...(byScope.get(name) ?? []), event]);
      }
      for (const some of byScope.values()) {
        await deliver(some[0]!.scope, some, context);
        // Who dies in between finds the deliveries of these events made.
        await events.remove(some.map(({ rowId }) => rowId));
      }
      return batchReport(stored.length, stored.length === context.batchMax);
    },
  };
}

function wantedOf(webhook: Webhook, event: StoredCallEvent): Wanted[] {
  const { route_id: routeId } = event.data;
  const { routeFilter } = webhook;
  if (routeFilter.length > 0 && (routeId === null || !routeFilter.includes(routeId))) return [];
  const types = event.types.filter((type) => (webhook.eventTypes as readonly string[]).includes(type));
  if (types.length === 0) return [];
  const data = JSON.stringify(shownTo(webhook, event.data));
  return types.map((type) => ({
    webhook,
    eventId: `${event.eventId}:${type}`,
    type,
    data,
    occurredAtMs: event.occurredAtMs,
  }));
}

/** What its flags ask for, and who wrote it may read (dataplane.md §10). */
function shownTo(webhook: Webhook, data: CallData) {
  const { includeRequestBody, includeResponseBody, includeHeaders, showsIdentity } = webhook;
  return {
    ...data,
    request: {
      ...without(data.request, includeRequestBody, includeHeaders),
      ip: showsIdentity ? data.request.ip : null,
    },
    response: data.response && without(data.response, includeResponseBody, includeHeaders),
  };
}

function without<T extends { body?: unknown; body_truncated?: unknown; headers?: unknown }>(
  { body, body_truncated, headers, ...rest }: T,
  showsBody: boolean,
  showsHeaders: boolean,
) {
  return {
    ...rest,
    ...(showsBody && body !== undefined && { body, body_truncated }),
    ...(showsHeaders && headers !== undefined && { headers }),
  };
}
