import { expect, test } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import type { RouteExchange } from '../../proxy/index.js';
import type { InboundWebhook } from '../store.js';
import { TRY_MS_MAX } from './bounds.js';
import { createRouteTry, type RouteTryDeps } from './route-try.js';
import type { InboundDelivery } from './store.js';

const webhook = {
  id: 'w',
  scope: scopeOf(),
  routeId: 'r',
  routeEnvironment: null,
} as unknown as InboundWebhook;
const delivery = { id: 'd', scope: scopeOf(), method: 'POST', sourceIp: null } as unknown as InboundDelivery;

function scopeOf() {
  return { tenantId: 'one' as TenantId, sandbox: false };
}

function setUp(more: Partial<RouteTryDeps>) {
  const clock = createManualClock();
  const tryRoute = createRouteTry({
    clock,
    ids: { uuid: () => '01a2-request' },
    accounts: { tenantById: async () => ({ slug: 'one', subscriptionStatus: 'active' }) },
    deliveries: { content: async () => Buffer.from('sealed') },
    contents: { open: async () => ({ headers: [], body: Buffer.from('{}'), query: '', via: '' }) },
    routeProxy: { serveRoute: async () => undefined },
    ...more,
  } as RouteTryDeps);
  return { clock, tried: tryRoute(webhook, delivery, new AbortController().signal) };
}

test('a try whose answer goes on and on is broken off, and has failed', async () => {
  let begun: (exchange: RouteExchange) => void = () => undefined;
  const serving = new Promise<RouteExchange>((resolve) => {
    begun = resolve;
  });
  const { clock, tried } = setUp({
    routeProxy: {
      async serveRoute(exchange) {
        exchange.response.writeHead(200).write('drip');
        begun(exchange);
        await new Promise((resolve) => exchange.response.once('close', resolve));
      },
    },
  });
  const { response } = await serving;
  clock.advance(TRY_MS_MAX - 1);
  expect(response.destroyed).toBe(false);
  clock.advance(1);
  expect(await tried).toMatchObject({ is: 'failed', status: null, error: 'The answer broke off' });
});

test.each(['tenant_sealed', 'dependency_unavailable'] as const)(
  'content that cannot be opened for %s is no try',
  async (type) => {
    const { tried } = setUp({
      contents: {
        open: async () => {
          throw new AppError(type, 'not now');
        },
      },
    });
    expect(await tried).toEqual({ is: 'postponed', byMs: 30_000, error: `Waits: ${type}: not now` });
  },
);
