import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { createGenerations } from '../../platform/cache/generations.js';
import { forEachDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { createGatewayAdmission } from './gateway.js';
import { createWrapStore } from './store.js';

const HOST = 'api.example.com';
const AT = { kind: 'plain', mode: null, tenantSlug: null } as const;
const NETWORK = '192.0.2.1';
const unknown = (n: number) => `wkt_${String(n).padStart(43, 'A')}`;

forEachDatabase((_name, open) => {
  let harness: Harness;
  let stops: (() => Promise<void>)[];
  beforeEach(async () => {
    harness = await createHarness({ open });
    stops = [];
  });
  afterEach(async () => {
    for (const stop of stops) await stop();
    await harness.close();
  });

  const call = async (method: 'POST' | 'DELETE' | 'PATCH', path: string, body?: unknown) => {
    const key = harness.tenant.live;
    const { status, json } = await harness.call(method, path, { key, ...(body !== undefined && { body }) });
    expect([status < 300, json['error']]).toEqual([true, undefined]);
    return json['data'] as Record<string, string>;
  };
  async function token(name = 'KEY') {
    await call('POST', '/v1/wrap/credentials', { provider: 'openai', name, value: 'canary', hosts: [HOST] });
    return call('POST', '/v1/wrap/tokens', { secret: name });
  }

  /** What another process on the same database runs. */
  async function anotherProcess() {
    let reads = 0;
    const { db, clock, accounts } = harness;
    const generations = createGenerations({ db, clock });
    await generations.start();
    stops.push(() => generations.stop());
    const store = createWrapStore(db);
    const admit = createGatewayAdmission({
      clock,
      accounts,
      generations,
      lastUsed: { record: () => {}, stop: async () => {} },
      store: {
        findByHash: (hash) => {
          reads++;
          return store.findByHash(hash);
        },
      },
    });
    const use = async (text: string | null | undefined, ip = NETWORK, host = HOST) => {
      try {
        return (await admit({ token: text ?? null, place: { host }, at: AT, ip })).host;
      } catch (error) {
        return (error as { type: string }).type;
      }
    };
    return { generations, use, reads: () => reads };
  }

  describe('a gateway token', () => {
    it('is read once, and an unknown one each time', async () => {
      const { use, reads } = await anotherProcess();
      const { token: text } = await token();
      expect(await use(text)).toBe(HOST);
      const once = reads();
      expect(new Set(await Promise.all(Array.from({ length: 20 }, () => use(text))))).toEqual(
        new Set([HOST]),
      );
      expect(reads()).toBe(once);
      for (const _ of [1, 2]) expect(await use(unknown(1))).toBe('invalid_token');
      expect(reads()).toBe(once + 2);
      for (const malformed of [null, 'wkt_', `${text}x`]) expect(await use(malformed)).toBe('invalid_token');
      expect(reads()).toBe(once + 2);
    });

    it.each<[string, (made: Record<string, string>) => Promise<unknown>]>([
      ['it is revoked', ({ id }) => call('DELETE', `/v1/wrap/tokens/${id}`)],
      [
        'its secret is deleted',
        async () => {
          const secret = await harness.secrets.findByName(
            { tenantId: harness.tenant.id, sandbox: false },
            'KEY',
          );
          await call('DELETE', `/v1/secrets/${secret!.id}`);
        },
      ],
    ])('ends at once where %s, and within 500 ms in another process', async (_, end) => {
      const [own, other] = [harness.wrap, await anotherProcess()];
      const made = await token();
      const here = { token: made['token']!, place: { host: HOST }, at: AT, ip: NETWORK };
      expect((await own.admit(here)).host).toBe(HOST);
      expect(await other.use(made['token'])).toBe(HOST);
      await end(made);
      await expect(own.admit(here)).rejects.toMatchObject({ type: 'invalid_token' });
      await harness.advance(500);
      await expect.poll(() => other.use(made['token'])).toBe('invalid_token');
    });

    it('ends by its time, also of what is in memory, and with the subscription of its tenant', async () => {
      const { use, generations } = await anotherProcess();
      const { token: text } = await token();
      const short = await call('POST', '/v1/wrap/tokens', { secret: 'KEY', ttl_seconds: 60 });
      expect([await use(text), await use(short['token'])]).toEqual([HOST, HOST]);
      await harness.advance(60_000);
      await generations.refresh();
      expect([await use(text), await use(short['token'])]).toEqual([HOST, 'invalid_token']);
      const paused = { subscriptionStatus: 'paused' } as const;
      await harness.db.transaction((tx) => harness.accounts.changeTenant(tx, harness.tenant.id, paused));
      await generations.refresh();
      expect(await use(text)).toBe('subscription_inactive');
    });

    it('is not honoured while revocations may go unseen', async () => {
      const { use, generations } = await anotherProcess();
      const made = await token();
      expect(await use(made['token'])).toBe(HOST);
      await generations.stop();
      await call('DELETE', `/v1/wrap/tokens/${made['id']}`);
      await harness.advance(1_000);
      expect(await use(made['token'])).toBe('invalid_token');
    });
  });

  describe('who guesses', () => {
    const MOST = LIMITS.gatewayFailuresPerNetworkMax;

    it('is stopped before a look-up, by network and for a minute, while known tokens go on', async () => {
      const { use, reads } = await anotherProcess();
      const { token: known } = await token();
      const other = await call('POST', '/v1/wrap/tokens', { secret: 'KEY' });
      expect(await use(known)).toBe(HOST);
      const before = reads();
      const guesses = await Promise.all(Array.from({ length: MOST + 50 }, (_, n) => use(unknown(n))));
      expect(guesses.filter((one) => one === 'invalid_token')).toHaveLength(MOST);
      expect(guesses.filter((one) => one === 'rate_limit_exceeded')).toHaveLength(50);
      expect(reads()).toBe(before + MOST);
      for (const text of [null, 'wkt_', unknown(1), other['token']])
        expect(await use(text)).toBe('rate_limit_exceeded');
      expect([await use(known), await use(known, NETWORK, 'else.example.com')]).toEqual([
        HOST,
        'rate_limit_exceeded',
      ]);
      expect([await use(other['token'], '198.51.100.7'), await use(unknown(1), '198.51.100.7')]).toEqual([
        HOST,
        'invalid_token',
      ]);
      await harness.advance(60_000);
      expect(await use(unknown(1))).toBe('invalid_token');
    });

    it('is nobody who calls with a good token from many places at once', async () => {
      const { use } = await anotherProcess();
      const { token: text } = await token();
      const answers = await Promise.all(Array.from({ length: 3 * MOST }, () => use(text)));
      expect(new Set(answers)).toEqual(new Set([HOST]));
      expect(await use(unknown(1))).toBe('invalid_token');
    });
  });
});
