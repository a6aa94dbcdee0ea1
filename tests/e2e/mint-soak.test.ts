import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { createProofMaker } from '../../packages/server/src/testing/dpop-proofs.js';
import { openSqlite, type Scene, setScene } from './scene.js';
import { killAll } from './server-process.js';

/** `npm run soak` sets it. */
const SECONDS = Number(process.env['KNOX_MINT_SECONDS'] ?? 0);

const CALLERS = 8;
/** A second of the test is an hour of the server: a token goes an hour and a day after it was minted. */
const HOUR_MS = 3_600_000;
const KEPT_HOURS = 25;
/** What the cleaner may be behind: it runs each minute, and a jump of the clock takes its lease away. */
const BEHIND_HOURS = 10;
const CLOCK_JUMPS = new URL('./clock-jumps.mjs', import.meta.url).href;
const MEMORY_GROWTH_MAX = 1.25;
const TITLE = 'a server that mints on and on';

interface Sizes {
  readonly minted: number;
  readonly tokens: number;
  readonly proofs: number;
  readonly heapMiB: number;
  readonly residentMiB: number;
}

declare module 'vitest' {
  interface TaskMeta {
    /** How large all was at the end, which scripts/soak-reporter.mjs tells. */
    mints?: Record<string, number>;
  }
}

afterAll(killAll);

if (SECONDS === 0) describe.skip(`${TITLE} (KNOX_MINT_SECONDS is not set)`, suite);
else describe(`${TITLE}, for ${SECONDS} s`, suite);

function suite(): void {
  it(
    'keeps the tokens of a day and the proofs of minutes, and grows no larger',
    async ({ task }) => {
      const database = { ...(await openSqlite()), environment: { NODE_OPTIONS: `--import=${CLOCK_JUMPS}` } };
      const scene = await setScene(database, (_request, response) => response.end());
      const load = startMints(scene);
      const samples: Sizes[] = [];
      for (let hour = 0; hour < SECONDS; hour++) {
        await pause(1_000);
        load.passHour();
        samples.push({ minted: load.minted(), ...(await sizesOf(scene)) });
      }
      await load.end();
      await scene.close();

      const last = samples.at(-1)!;
      // Behind a collection: what lies between two is garbage.
      const least = (of: 'heapMiB' | 'residentMiB', part: Sizes[]) =>
        Math.min(...part.map((size) => size[of]));
      const [before, after] = [
        samples.slice(SECONDS / 3, (SECONDS * 2) / 3),
        samples.slice((SECONDS * 2) / 3),
      ];
      const heapMiB = least('heapMiB', after);
      const residentMiB = least('residentMiB', after);
      task.meta.mints = { ...last, heapMiB, residentMiB };
      const mintedBefore = samples.at(-1 - KEPT_HOURS - BEHIND_HOURS)?.minted ?? 0;
      expect(mintedBefore, 'it was given longer than tokens are kept').toBeGreaterThan(0);
      expect(last.tokens).toBeLessThan(last.minted - mintedBefore);
      expect(last.proofs).toBeLessThan(last.tokens / 2);
      expect(heapMiB).toBeLessThan(least('heapMiB', before) * MEMORY_GROWTH_MAX);
      expect(residentMiB).toBeLessThan(least('residentMiB', before) * MEMORY_GROWTH_MAX);
    },
    1_000 * (2 * SECONDS + 60),
  );
}

/** Half of them with a proof; each caller asks for the next when it has one. */
function startMints({ bootstrap, server }: Scene) {
  const proofs = createProofMaker();
  const url = `${server.url}/oauth/token`;
  const at = bootstrap.live_api_key.lastIndexOf('_');
  const credentials = `${bootstrap.live_api_key.slice(0, at)}:${bootstrap.live_api_key.slice(at + 1)}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  let minted = 0;
  let aheadMs = 0;
  let isOver = false;

  async function mint(isProven: boolean): Promise<void> {
    const iat = Math.floor((Date.now() + aheadMs) / 1_000);
    const answer = await fetch(url, {
      method: 'POST',
      headers: { authorization, ...(isProven && { dpop: proofs.make({ htm: 'POST', htu: url, iat }) }) },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    const text = await answer.text();
    // An hour may pass between the making of a proof and its check.
    if (answer.status === 400 && text.includes('iat')) return;
    expect([answer.status, text]).toEqual([200, expect.stringContaining('kc_live_')]);
    minted += 1;
  }

  const lanes = Array.from({ length: CALLERS }, async (_, lane) => {
    while (!isOver) await mint(lane % 2 === 0);
  });
  return {
    minted: () => minted,
    passHour() {
      server.signal('SIGUSR2');
      aheadMs += HOUR_MS;
    },
    async end() {
      isOver = true;
      await Promise.all(lanes);
    },
  };
}

async function sizesOf({ server, dataDir }: Scene): Promise<Omit<Sizes, 'minted'>> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const metric = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
  const db = new DatabaseSync(join(dataDir, 'knox.db'), { readOnly: true });
  try {
    const count = (table: string) =>
      Number((db.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n);
    return {
      tokens: count('oauth_tokens'),
      proofs: count('dpop_proofs'),
      heapMiB: metric('knox_nodejs_heap_size_used_bytes') / 2 ** 20,
      residentMiB: metric('knox_process_resident_memory_bytes') / 2 ** 20,
    };
  } finally {
    db.close();
  }
}
