import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from '../../testing/harness.js';
import { describeRouteMatrix } from '../../testing/route-matrix.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

describeRouteMatrix(
  () => harness,
  () => ({ 'DELETE /v1/api-keys/:id': { path: `/v1/api-keys/${harness.tenant.live.id}` } }),
);

describe('health', () => {
  it('answers bare bodies without a credential', async () => {
    const alive = await harness.call('GET', '/healthz');
    expect([alive.status, alive.json]).toEqual([200, { status: 'ok' }]);
    const ready = await harness.call('GET', '/readyz');
    expect([ready.status, ready.json]).toEqual([200, { status: 'ready', checks: { database: 'ok' } }]);
  });
});
