import { describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { systemIds } from '../../platform/crypto/random.js';
import { createHttpServer } from '../../platform/http/server.js';
import { createLogger } from '../../platform/log/logger.js';
import { createHealth, type HealthDeps } from './health.js';

async function get(url: string, deps: HealthDeps) {
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const app = createHttpServer({ logger, requestLog: () => {}, ids: systemIds, clock: systemClock });
  app.register(createHealth(deps));
  const answer = await app.inject({ url });
  await app.close();
  return { status: answer.statusCode, body: answer.json(), retryAfter: answer.headers['retry-after'], lines };
}

const works = async () => undefined;

it('200 with bare bodies, without a credential', async () => {
  const deps = { checks: { database: works }, isStopping: () => false };
  const [alive, ready] = [await get('/healthz', deps), await get('/readyz', deps)];
  expect([alive.status, alive.body]).toEqual([200, { status: 'ok' }]);
  expect([ready.status, ready.body]).toEqual([200, { status: 'ready', checks: { database: 'ok' } }]);
});

describe('503', () => {
  it('when a part does not work, without a word of why', async () => {
    const broken = async () => {
      throw new Error('connect 10.0.0.7:5432');
    };
    const answer = await get('/readyz', {
      checks: { database: broken, root_key: works },
      isStopping: () => false,
    });
    expect([answer.status, answer.body, answer.retryAfter]).toEqual([
      503,
      { status: 'unavailable', checks: { database: 'unavailable', root_key: 'ok' } },
      '1',
    ]);
    expect(answer.lines.join('')).toContain('10.0.0.7');
  });

  it('once shutdown has begun', async () => {
    const answer = await get('/readyz', { checks: { database: works }, isStopping: () => true });
    expect([answer.status, answer.body.status]).toEqual([503, 'stopping']);
  });
});
