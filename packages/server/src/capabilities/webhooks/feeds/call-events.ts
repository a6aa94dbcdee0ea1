import type { IdSource, Scope } from '../../../kernel/ids.js';
import type { Promisable } from '../../../kernel/promisable.js';
import type { Generations } from '../../../platform/cache/generations.js';
import type { CacheCounts } from '../../../platform/cache/lru.js';
import { createScopeCache } from '../../../platform/cache/scope-cache.js';
import type { Insertion, Transaction } from '../../../platform/storage/database.js';
import type { EventType } from '../event-types.js';
import type { WebhookStore } from '../store.js';
import type { CallData, CallEventStore } from './call-store.js';

/** What the webhooks of a tenant and mode want to know of calls. */
export interface CallInterest {
  readonly types: ReadonlySet<string>;
  readonly requestBody: boolean;
  readonly responseBody: boolean;
  readonly headers: boolean;
}

export interface CallEvent {
  readonly scope: Scope;
  readonly data: CallData;
  readonly occurredAtMs: number;
}

/** The proxy's side: what is to be written beside the row of a call. */
export interface CallEvents {
  /** Null = nothing, known at once but for the first call after a change. */
  interestIn(scope: Scope): Promisable<CallInterest | null>;
  /** Before a call is forwarded; null where nobody wants to know. */
  received(interest: CallInterest, event: CallEvent): Insertion | null;
  /** When it is over. */
  completed(interest: CallInterest, event: CallEvent): Insertion | null;
}

export interface CallEventsDeps {
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly webhooks: Pick<WebhookStore, 'listEnabled'>;
  readonly events: Pick<CallEventStore, 'insertion'>;
  readonly cacheCounts?: CacheCounts | undefined;
  /** Rows are about to be written. */
  wake(): void;
}

export const INTEREST = 'webhooks';

export function createCallEvents(deps: CallEventsDeps) {
  const { ids, generations, webhooks, events, wake } = deps;
  const interests = createScopeCache<{ readonly interest: CallInterest | null }>({
    name: INTEREST,
    generations,
    counts: deps.cacheCounts,
    async load(scope) {
      const asking = (await webhooks.listEnabled(scope)).filter(({ eventTypes }) =>
        eventTypes.some((type) => type.startsWith('request.')),
      );
      if (asking.length === 0) return { interest: null };
      return {
        interest: {
          types: new Set(asking.flatMap(({ eventTypes }) => eventTypes)),
          requestBody: asking.some(({ includeRequestBody }) => includeRequestBody),
          responseBody: asking.some(({ includeResponseBody }) => includeResponseBody),
          headers: asking.some(({ includeHeaders }) => includeHeaders),
        },
      };
    },
  });

  function insertionOf(
    { types: wanted }: CallInterest,
    types: readonly EventType[],
    event: CallEvent,
  ): Insertion | null {
    const told = types.filter((type) => wanted.has(type));
    if (told.length === 0) return null;
    wake();
    return events.insertion({ ...event, eventId: ids.uuid(), types: told });
  }

  const callEvents: CallEvents = {
    interestIn(scope) {
      const known = interests.get(scope);
      return known instanceof Promise ? known.then(({ interest }) => interest) : known.interest;
    },
    received: (interest, event) => insertionOf(interest, ['request.received'], event),
    completed: (interest, event) => insertionOf(interest, typesOf(event.data), event),
  };
  return { callEvents, changed: (tx: Transaction, scope: Scope) => interests.changed(tx, scope) };
}

/** dataplane.md §11.2. */
function typesOf({ response, error }: CallData): EventType[] {
  const status = response?.status ?? 0;
  const isSuccess = status >= 200 && status < 300;
  return [
    ...(isSuccess ? (['request.success'] as const) : (['request.error'] as const)),
    ...(status >= 300 && status < 400 ? (['request.redirect'] as const) : []),
    ...(status >= 400 && status < 500 ? (['request.client_error'] as const) : []),
    ...(status >= 500 ? (['request.server_error'] as const) : []),
    ...(error === 'upstream_timeout' ? (['request.timeout'] as const) : []),
    'request.completed',
  ];
}
