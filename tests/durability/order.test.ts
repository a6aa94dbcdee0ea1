import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Scene, setScene } from '../e2e/scene.js';
import { killAll } from '../e2e/server-process.js';
import { buildRecorder, durableAt, type Recorder, sentAt } from './recorder.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface DurableAct {
  readonly title: string;
  readonly call: (scene: Scene, token: string) => Promise<Answer>;
  /** What is in the row that must be durable first, and in no row before it. */
  readonly rowText: (scene: Scene, answer: Answer) => Promise<string>;
  readonly goesUpstream?: boolean;
}

const ownId = async (_scene: Scene, { text }: Answer) =>
  (JSON.parse(text) as { data: { id: string } }).data.id;

async function auditId(scene: Scene): Promise<string> {
  const { text } = await scene.api('GET', '/v1/audit-logs?action=vault.detokenize&per_page=1');
  return (JSON.parse(text) as { data: [{ id: string }] }).data[0].id;
}

const postJson = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

const ACTS: readonly DurableAct[] = [
  {
    title: 'a tokenize',
    call: (scene) => scene.api('POST', '/v1/vaults/cards/tokens', { value: 'second' }),
    rowText: ownId,
  },
  {
    title: 'a new key',
    call: (scene) => scene.api('POST', '/v1/api-keys', { name: 'ci' }),
    rowText: ownId,
  },
  {
    title: 'a detokenize',
    call: (scene, token) => scene.api('GET', `/v1/vaults/cards/tokens/${token}`),
    rowText: auditId,
  },
  {
    title: 'a detokenize for the upstream',
    call: (scene, token) =>
      scene.proxied(`${scene.target}/charge`, postJson({ card: `{{ token: cards.${token} }}` })),
    rowText: auditId,
    goesUpstream: true,
  },
];

interface CopiedServer {
  readonly command: string;
  remove(): void;
}

/** The built server with one text of it replaced. */
function copyServer(file: string, from: string, to: string): CopiedServer {
  const dir = mkdtempSync(join(tmpdir(), 'knox-mutant-'));
  const place = join('packages', 'server');
  for (const name of ['bin', 'dist', 'package.json']) {
    cpSync(join(ROOT, place, name), join(dir, place, name), { recursive: true });
  }
  for (const modules of ['node_modules', join(place, 'node_modules')]) {
    if (existsSync(join(ROOT, modules))) symlinkSync(join(ROOT, modules), join(dir, modules));
  }
  const path = join(dir, place, 'dist', file);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
  return {
    command: join(dir, place, 'bin', 'knox-server.mjs'),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

const recorder = buildRecorder();
if ('reason' in recorder) it.skip(`the order of writes, syncs and sends is not recorded: ${recorder.reason}`);
else suite(recorder);

function suite(recorder: Recorder): void {
  afterAll(async () => {
    await killAll();
    recorder.remove();
  });

  /** `who`: was it told only after the row was durable? */
  async function orderOf(scene: Scene, token: string, act: DurableAct): Promise<Record<string, boolean>> {
    const mark = recorder.mark();
    const answer = await act.call(scene, token);
    expect([200, 201]).toContain(answer.status);
    // The writer takes one after the other: what the act has left to it is written once this is answered.
    await scene.api('POST', '/v1/vaults/cards/tokens', { value: 'behind it' });
    const events = recorder.eventsSince(mark);
    const durable = durableAt(events, await act.rowText(scene, answer));
    const client = sentAt(events, { own: Number(new URL(scene.server.url).port) });
    const told = { client: client > durable };
    if (!act.goesUpstream) return told;
    return { ...told, upstream: sentAt(events, { peer: Number(new URL(scene.target).port) }) > durable };
  }

  function whenServing(
    title: string,
    open: () => CopiedServer | null,
    acts: readonly DurableAct[],
    waits: boolean,
  ): void {
    describe(title, () => {
      let server: CopiedServer | null;
      let scene: Scene;
      let token: string;

      beforeAll(async () => {
        server = open();
        const database = { environment: recorder.environment, dump: async () => '', remove: async () => {} };
        scene = await setScene(database, (_request, response) => response.end(), server?.command);
        await scene.api('POST', '/v1/vaults', { name: 'cards' });
        const { text } = await scene.api('POST', '/v1/vaults/cards/tokens', { value: 'first' });
        token = (JSON.parse(text) as { data: { token: string } }).data.token;
        // A connection that is open already: what goes out by it then is the call, and no handshake.
        expect(await scene.proxied(`${scene.target}/warm`)).toMatchObject({ status: 200 });
      });
      afterAll(async () => {
        await scene?.close();
        server?.remove();
      });

      it.each(acts)('$title', async (act) => {
        const told = await orderOf(scene, token, act);
        expect(told).toEqual(act.goesUpstream ? { client: waits, upstream: waits } : { client: waits });
      });
    });
  }

  whenServing('nobody is told before the row is on the disk', () => null, ACTS, true);
  whenServing(
    'a server that does not sync is found out',
    () => copyServer('platform/storage/sqlite.js', 'synchronous = FULL', 'synchronous = OFF'),
    ACTS,
    false,
  );
  whenServing(
    'a server that does not wait for its audit rows is found out',
    () =>
      copyServer(
        'capabilities/vaults/tokens/service.js',
        'await db.commitInserts(resolved',
        'void db.commitInserts(resolved',
      ),
    ACTS.filter(({ goesUpstream }) => goesUpstream),
    false,
  );
}
