import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  auditedTraces,
  countAuditRows,
  countsOf,
  expectAudited,
  expectEffects,
  expectedCounts,
  repeatUnanswered,
  storedTraces,
  verifyChain,
} from './crash-aftermath.js';
import { createDraw, createReceiver, type KillPoint, type Load, prepareLoad } from './crash-load.js';
import { forEachDatabase, type Scene, setScene } from './scene.js';
import { killAll, runToEnd, startServer } from './server-process.js';

/** `npm run soak` sets both. */
const POINTS = Number(process.env['KNOX_CRASH_POINTS'] ?? 10);
const SEED = Number(process.env['KNOX_CRASH_SEED'] ?? 4);

const ACKNOWLEDGEMENTS_MAX = 80;
const TURNS_MAX = 1_000;
/** More than the lease of a call that died with the server (docs/decisions/0036): its retry need not wait. */
const DOWN_MS = 20_000;
const CLOCK_AHEAD = new URL('./clock-ahead.mjs', import.meta.url).href;

declare module 'vitest' {
  interface TaskMeta {
    /** Counts of one kill, which scripts/soak-reporter.mjs adds up. */
    crash?: Record<string, number>;
  }
}

afterAll(killAll);

forEachDatabase((open) => {
  describe(`a server killed under load (seed ${SEED})`, () => {
    const draw = createDraw(SEED);
    const points = Array.from({ length: POINTS }, (_, index) => ({
      number: index + 1,
      acknowledgements: 1 + draw(ACKNOWLEDGEMENTS_MAX),
      turns: draw(TURNS_MAX),
    }));
    const receiver = createReceiver();
    const loads: Load[] = [];
    let scene: Scene;
    let aheadMs = 0;

    beforeAll(async () => {
      scene = await setScene(await open(), receiver.handler);
    });
    afterAll(() => scene?.close());

    async function loadAndKill(number: number, point: KillPoint): Promise<Load> {
      const startedAt = new Date(Date.now() + aheadMs).toISOString();
      const load = await prepareLoad({ scene, receiver, draw, name: `load-${number}`, startedAt });
      loads.push(load);
      await load.runUntil(point);
      expect(await scene.server.exited).toMatchObject({ signal: 'SIGKILL' });
      return load;
    }

    /** As a supervisor would, at a later time: nothing else is done to what the dead one has left. */
    async function restart(): Promise<void> {
      aheadMs += DOWN_MS;
      scene.server = await startServer({
        ...scene.environment,
        NODE_OPTIONS: `--import=${CLOCK_AHEAD}`,
        TEST_CLOCK_AHEAD_MS: String(aheadMs),
      });
      expect(await scene.api('GET', '/readyz')).toMatchObject({ status: 200 });
    }

    /** Both kinds, beside the running server. */
    async function expectChainsWhole(): Promise<void> {
      const { code, out, error } = await runToEnd(['audit', 'verify'], scene.environment);
      expect([code, error]).toEqual([0, '']);
      expect(out).toMatch(/^tenant default: \d+ rows verified.*\ncritical chain: \d+ rows verified/);
    }

    it.for(points)(
      'kill $number, after $acknowledgements acknowledgements and $turns turns: nothing lost, nothing half done',
      async ({ number, ...point }, { task }) => {
        const load = await loadAndKill(number, point);
        const acknowledged = load.acts.filter(({ data }) => data !== null).length;
        await restart();

        await expectEffects(scene, load);
        const found = await storedTraces(scene, load);
        const { traces, sent } = await auditedTraces(scene, load);
        expect(found).toEqual(traces);
        expectAudited(load, sent);

        const { repeated, hadHappened } = await repeatUnanswered(load);
        const complete = await storedTraces(scene, load);
        expect(complete).toEqual((await auditedTraces(scene, load)).traces);
        expect(countsOf(complete)).toEqual(expectedCounts(load));
        await expectEffects(scene, load);
        await expectChainsWhole();
        task.meta.crash = {
          acknowledged,
          received: load.receipts.length,
          audited: sent.length,
          repeated,
          hadHappened,
        };
      },
    );

    it('all of it is still there after the last start', async () => {
      for (const load of loads) {
        const stored = await storedTraces(scene, load);
        expect(countsOf(stored), load.name).toEqual(expectedCounts(load));
      }
      const total = await countAuditRows(scene);
      await expect
        .poll(() => verifyChain(scene))
        .toMatchObject({ ok: true, unsealed_tail: 0, checked: total });
    });
  });
});
