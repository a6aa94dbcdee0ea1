import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import { DEFAULT_TIERS } from '../../../kernel/plan-tiers.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import type { NewClient } from '../service.js';

const NEW: NewClient = {
  name: 'n',
  type: 'server',
  ipAddress: '',
  ipNotes: {},
  description: null,
  signingSecretId: null,
};

/** How many of them were made, and what refused the others. */
async function tally(calls: readonly Promise<unknown>[]) {
  const results = await Promise.allSettled(calls);
  const refusals = results.flatMap((result) =>
    result.status === 'rejected' ? [(result.reason as { type: string }).type] : [],
  );
  return { made: results.length - refusals.length, refusals: [...new Set(refusals)] };
}

forEachDatabase((_name, open) => {
  let harness: Harness;
  beforeAll(async () => {
    const enterprise = {
      ...DEFAULT_TIERS.enterprise,
      caps: { ...DEFAULT_TIERS.enterprise.caps, clients: 5 },
    };
    harness = await createHarness({ open, tiers: { ...DEFAULT_TIERS, enterprise } });
  });
  afterAll(() => harness.close());

  const caller = (mode: 'live' | 'test' = 'test') => harness.callerOf(harness.tenant, mode);
  const many = <T>(count: number, act: (n: number) => Promise<T>) =>
    Array.from({ length: count }, (_, n) => act(n));

  describe('what is made at once', () => {
    it('never has the serial of another, of fifty certificates', async () => {
      const { clients } = harness;
      const { id } = await clients.create(caller(), NEW);
      const input = { evidence: 'issue', label: null } as const;
      const issued = await Promise.all(many(50, () => clients.credentials.create(caller(), id, input)));
      const serials = issued.map(
        ({ credential: { evidence } }) => 'issued' in evidence && evidence.issued?.serial,
      );
      expect(new Set(serials).size).toBe(50);
    });

    it('is no more than a client can have', async () => {
      const { clients } = harness;
      const { id } = await clients.create(caller(), { ...NEW, ipAddress: '10.1.0.0' });
      const add = (n: number) =>
        clients.credentials.create(caller(), id, {
          evidence: { kind: 'ip', value: `10.0.0.${n}` },
          label: null,
        });
      expect(await tally(many(LIMITS.clientCredentialsMax + 10, add))).toEqual({
        made: LIMITS.clientCredentialsMax - 1,
        refusals: ['conflict'],
      });
      expect(await clients.credentials.list(caller(), id)).toHaveLength(LIMITS.clientCredentialsMax);
    });

    it('is no more than the plan has room for', async () => {
      const { clients } = harness;
      const create = () => clients.create(caller('live'), NEW);
      expect(await tally(many(20, create))).toEqual({ made: 5, refusals: ['plan_limit'] });
      expect(await clients.countLive(harness.tenant.id)).toBe(5);
    });

    it('is one credential of a certificate', async () => {
      const { clients } = harness;
      const { id } = await clients.create(caller(), NEW);
      const evidence = { kind: 'mtls_thumbprint', sha256Thumbprint: 'cd'.repeat(32), issued: null } as const;
      const register = () => clients.credentials.create(caller(), id, { evidence, label: null });
      expect(await tally(many(20, register))).toEqual({ made: 1, refusals: ['conflict'] });
    });
  });
});
