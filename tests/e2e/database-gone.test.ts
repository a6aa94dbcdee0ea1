import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { type Relay, startRelay } from '../../packages/server/src/testing/relay.js';
import { type Answer, onPostgres, type Scene, setScene } from './scene.js';
import { killAll, runToEnd, stopServer } from './server-process.js';

/** `KNOX_TEST_OUTAGE_SECONDS=20` is the long run; the short one takes the same ways. */
const OUTAGE_MS = Number(process.env['KNOX_TEST_OUTAGE_SECONDS'] ?? 3) * 1_000;
/** A call that takes longer hangs: twice the 8 s after which no answer of the database is waited for, and a connection's 3 s. */
const CALL_MS_MAX = 20_000;
const TEST_MS_MAX = OUTAGE_MS + 120_000;
/** For each kind of call. */
const CALLERS = 2;
const SERVED_IN_A_ROW = 20;
const CARD = '4111111111111111';
const UNKNOWN_KEY = `tk_live_${'a'.repeat(12)}_${'b'.repeat(43)}`;

type Stage = 'before' | 'outage' | 'after';

interface Call {
  readonly path: string;
  readonly init?: RequestInit;
}

interface Made {
  readonly kind: string;
  readonly stage: Stage;
  readonly answer: Answer;
  readonly ms: number;
}

const isRefused = ({ answer }: Made) => answer.status >= 400;
const dataOf = <Data>(text: string) => (JSON.parse(text) as { data: Data }).data;
const tokenOf = (text: string) => dataOf<{ token: string }>(text).token;
const errorTypeOf = (text: string) => (JSON.parse(text) as { error: { type: string } }).error.type;

afterAll(killAll);

onPostgres((open) => {
  describe.each<[string, (relay: Relay) => void | Promise<void>]>([
    ['refuses connections', (relay) => relay.refuse()],
    ['answers nothing any more', (relay) => relay.silence()],
  ])('a database that %s', (_how, cut) => {
    it(
      'is a clear 503 under load; the server serves again by itself, with all that it acknowledged',
      async ({ annotate }) => {
        const database = await open();
        const relayed = new URL(database.url);
        const relay = await startRelay({ host: relayed.hostname, port: Number(relayed.port) });
        relayed.port = String(relay.port);
        const scene = await setScene(
          { ...database, environment: { DATABASE_URL: relayed.href } },
          (_request, response) => response.end('{}'),
        );
        const load = await startLoad(scene);
        await load.untilServed();
        expect(load.made.filter(isRefused)).toEqual([]);

        await cut(relay);
        load.enter('outage');
        const outage = setTimeout(OUTAGE_MS);
        const stranger = await scene.api('GET', '/v1/vaults', undefined, UNKNOWN_KEY);
        expect([stranger.status, errorTypeOf(stranger.text)]).toEqual([503, 'dependency_unavailable']);
        expect((await fetch(`${scene.server.url}/healthz`)).status).toBe(200);
        expect((await fetch(`${scene.server.url}/readyz`)).status).toBe(503);
        await outage;
        await load.untilRefused();

        await relay.restore();
        load.enter('after');
        await load.untilServed();
        await load.stop();
        await annotate(summaryOf(load.made));
        for (const { kind, answer } of load.made.filter(isRefused)) {
          expect([kind, answer.status, errorTypeOf(answer.text)]).toEqual([
            kind,
            503,
            'dependency_unavailable',
          ]);
          expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
        }

        for (const token of load.tokens) {
          const answer = await scene.api('GET', `/v1/vaults/cards/tokens/${token}`);
          expect(dataOf(answer.text)).toMatchObject({ value: CARD });
        }
        expect((await stopServer(scene.server)).code).toBe(0);
        // What was not acknowledged may stand, but with its audit row or not at all.
        const [stored] = await database.query(
          `SELECT (SELECT count(*) FROM vault_tokens)::int AS tokens,
                  (SELECT count(*) FROM audit_logs WHERE action = 'vault.tokenize')::int AS audited`,
        );
        expect(stored).toEqual({ tokens: stored?.['audited'], audited: expect.any(Number) });
        const verified = await runToEnd(['audit', 'verify'], {
          ...scene.environment,
          DATABASE_URL: database.url,
        });
        expect(verified).toMatchObject({ code: 0, error: '' });
        await scene.close();
        await relay.close();
      },
      TEST_MS_MAX,
    );
  });
});

/** Callers that go on whatever they are answered, some for every kind of call. */
async function startLoad(scene: Scene) {
  await scene.api('POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
  const first = await scene.api('POST', '/v1/vaults/cards/tokens', { value: CARD });
  const template = { card: `{{ token: cards.${tokenOf(first.text)} }}` };
  const proxied = { 'x-knox-proxy-url': scene.target };
  let number = 0;
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Call => ({
    path,
    init: {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    },
  });
  const kinds: Record<string, () => Call> = {
    read: () => ({ path: '/v1/vaults' }),
    tokenize: () => post('/v1/vaults/cards/tokens', { value: CARD }),
    create: () => post('/v1/vaults', { name: `v${++number}` }),
    'create once': () => post('/v1/vaults', { name: `v${++number}` }, { 'x-idempotency-key': `v${number}` }),
    'ephemeral call': () => post('/v1/proxy', template, proxied),
    'transparent call': () => post('/v1/proxy', {}, { ...proxied, 'x-knox-proxy-mode': 'transparent' }),
  };
  const made: Made[] = [];
  const tokens: string[] = [];
  let stage: Stage = 'before';
  /** By kind, of the calls that began in this stage: how many in a row were served last, and were any refused. */
  let seen = new Map<string, { served: number; wasRefused: boolean }>();
  let check = () => {};
  let isStopped = false;

  async function make(kind: string, { path, init = {} }: Call): Promise<void> {
    const begunIn = stage;
    const begunAt = performance.now();
    const response = await fetch(`${scene.server.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${scene.bootstrap.live_api_key}`, ...init.headers },
      signal: AbortSignal.timeout(CALL_MS_MAX),
    });
    const answer = { status: response.status, headers: response.headers, text: await response.text() };
    const call = { kind, stage: begunIn, answer, ms: performance.now() - begunAt };
    made.push(call);
    if (kind === 'tokenize' && !isRefused(call)) tokens.push(tokenOf(answer.text));
    if (begunIn !== stage) return;
    const { served = 0, wasRefused = false } = seen.get(kind) ?? {};
    seen.set(kind, isRefused(call) ? { served: 0, wasRefused: true } : { served: served + 1, wasRefused });
    check();
  }

  const callers = Object.entries(kinds).flatMap(([kind, next]) =>
    Array.from({ length: CALLERS }, async () => {
      while (!isStopped) await make(kind, next());
    }),
  );
  // A call that was not answered ends the load, and the wait of whoever waits for it.
  const broken = Promise.all(callers).then(() => new Promise<never>(() => {}));

  function until(isSo: (calls: { served: number; wasRefused: boolean }) => boolean): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      check = () => {
        const all = Object.keys(kinds).map((kind) => seen.get(kind));
        if (all.every((calls) => calls !== undefined && isSo(calls))) resolve();
      };
      check();
    });
    return Promise.race([reached, broken]);
  }

  return {
    made,
    tokens,
    enter(next: Stage) {
      stage = next;
      seen = new Map();
    },
    untilServed: () => until(({ served }) => served >= SERVED_IN_A_ROW),
    untilRefused: () => until(({ wasRefused }) => wasRefused),
    async stop() {
      isStopped = true;
      await Promise.all(callers);
    },
  };
}

function summaryOf(made: readonly Made[]): string {
  const stages: Stage[] = ['before', 'outage', 'after'];
  return stages
    .map((stage) => {
      const calls = made.filter((call) => call.stage === stage);
      const longestMs = Math.max(0, ...calls.map(({ ms }) => ms));
      return `${stage}: ${calls.length} calls, ${calls.filter(isRefused).length} refused, longest ${longestMs.toFixed(0)} ms`;
    })
    .join('; ');
}
