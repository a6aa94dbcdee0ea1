import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Webhooks } from '@octokit/webhooks';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDraw } from './crash-load.js';
import { forEachDatabase, type Scene, setScene } from './scene.js';
import { killAll, startServer } from './server-process.js';

/** `npm run soak` sets both. */
const KILLS = Number(process.env['KNOX_WEBHOOK_KILLS'] ?? 3);
const SEED = Number(process.env['KNOX_CRASH_SEED'] ?? 4);

const EVENTS_A_KILL = 12;
/**
 * Deliveries of a webhook without a written result when its server is killed, over all kills: four are sent at once
 * (`courier.ts`), and results that come while others are written wait for these. Nine were seen at one kill, five are usual.
 */
const UNWRITTEN_MEAN_MAX = 10;
const TURNS_MAX = 400;
/** More than the lease of the job whose process died: another takes it up at once. */
const DOWN_MS = 60_000;
const CLOCK_AHEAD = new URL('./clock-ahead.mjs', import.meta.url).href;

interface Receipt {
  readonly id: string;
  readonly vault: string;
  readonly body: string;
  readonly signature: string;
}

declare module 'vitest' {
  interface TaskMeta {
    /** What scripts/soak-reporter.mjs tells of kills while webhooks are delivered. */
    webhookKills?: { kills: number; events: number; receipts: number; repeated: number };
  }
}

afterAll(killAll);

forEachDatabase((open) => {
  describe(`a server killed while it delivers webhooks (seed ${SEED})`, () => {
    const draw = createDraw(SEED);
    const receipts: Receipt[] = [];
    let scene: Scene;
    let aheadMs = 0;
    let onReceipt: (response: ServerResponse) => void = (response) => void response.end();

    beforeEach(async () => {
      scene = await setScene(await open(), (request, response) => void receive(request, response));
    });
    afterEach(() => scene?.close());

    async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString('utf8');
      const { data } = JSON.parse(body);
      if (data.action === 'vault.create')
        receipts.push({
          id: String(request.headers['x-webhook-id']),
          vault: data.details.vault,
          body,
          signature: String(request.headers['x-hub-signature-256']),
        });
      onReceipt(response);
    }

    async function make(path: string, body: object): Promise<Record<string, string>> {
      const { status, text } = await scene.api('POST', path, body);
      if (status !== 201) throw new Error(`${status} ${text}`);
      return JSON.parse(text).data;
    }

    /** In the middle of some delivery: before its answer, with it, or some turns later. */
    function killAtReceipt(number: number, isAnswered: boolean, turns: number): Promise<unknown> {
      let count = 0;
      onReceipt = async (response) => {
        count += 1;
        if (count < number || isAnswered) response.end();
        if (count !== number) return;
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        scene.server.signal('SIGKILL');
      };
      return scene.server.exited;
    }

    async function restart(): Promise<void> {
      aheadMs += DOWN_MS;
      onReceipt = (response) => void response.end();
      scene.server = await startServer({
        ...scene.environment,
        NODE_OPTIONS: `--import=${CLOCK_AHEAD}`,
        TEST_CLOCK_AHEAD_MS: String(aheadMs),
      });
    }

    it(
      'delivers every event once it runs again, those that were under way under their ids',
      async ({ task }) => {
        const { id, secret_key: secret } = await make('/v1/webhooks', {
          name: 'orders',
          url: `${scene.target}/hook`,
          event_types: ['audit.event'],
          hmac_format: 'github',
          max_retries: 0,
        });
        const made: string[] = [];
        const arrived = () => new Set(receipts.map(({ vault }) => vault));
        for (let kill = 1; kill <= KILLS; kill++) {
          const killed = killAtReceipt(1 + draw(EVENTS_A_KILL), draw(2) === 0, draw(TURNS_MAX));
          for (let n = 0; n < EVENTS_A_KILL; n++) {
            const name = `vault-${kill}-${n}`;
            // Whether one that was cut off has happened is seen by its event, or by none.
            const answer = await scene.api('POST', '/v1/vaults', { name }).catch(() => null);
            if (answer?.status === 201) made.push(name);
          }
          expect(await killed).toMatchObject({ signal: 'SIGKILL' });
          await restart();
          await expect.poll(() => made.every((name) => arrived().has(name)), { timeout: 60_000 }).toBe(true);
        }
        // What is still on its way has arrived, and nothing comes after it.
        await expect.poll(() => counts(id!), { timeout: 60_000 }).toMatchObject({ waiting: 0, failed: 0 });

        const ids = new Map<string, Set<string>>();
        for (const { vault, id: delivery } of receipts)
          ids.set(vault, new Set([...(ids.get(vault) ?? []), delivery]));
        expect([...ids.values()].map((of) => of.size)).toEqual([...ids].map(() => 1));
        const webhooks = new Webhooks({ secret: secret! });
        for (const { body, signature } of receipts) expect(await webhooks.verify(body, signature)).toBe(true);
        // A server sends each once; after a kill come again those alone whose result was not written.
        const times = new Map<string, number>();
        for (const { id: delivery } of receipts) times.set(delivery, (times.get(delivery) ?? 0) + 1);
        expect(Math.max(...times.values())).toBeLessThanOrEqual(1 + KILLS);
        const repeated = receipts.length - ids.size;
        expect(repeated).toBeLessThanOrEqual(KILLS * UNWRITTEN_MEAN_MAX);
        task.meta.webhookKills = { kills: KILLS, events: ids.size, receipts: receipts.length, repeated };
      },
      60_000 + KILLS * 30_000,
    );

    async function counts(id: string) {
      const { data } = JSON.parse((await scene.api('GET', `/v1/webhooks/${id}`)).text);
      const waiting = data.trigger_count - data.success_count - data.failure_count;
      return { waiting, failed: data.failure_count };
    }
  });
});
