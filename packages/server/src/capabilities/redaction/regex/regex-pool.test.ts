import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { createRegexPool, type RegexJob, type RegexPool, type RegexPoolOptions } from './regex-pool.js';

let pool: RegexPool;
afterEach(() => pool.close());

function open(options: Partial<RegexPoolOptions> = {}): RegexPool {
  pool = createRegexPool({ clock: systemClock, threadsMax: 1, ...options });
  return pool;
}

const OWNER = {};
const OWNERS: readonly object[] = Array.from({ length: 5 }, () => ({}));

function job(text: string, overrides: Partial<RegexJob> = {}): RegexJob {
  const set = { id: 1, owner: OWNER, patterns: ['b+', '^a'] };
  return { set, text, ends: Uint32Array.of(text.length), timeMs: 200, findsMax: 100, ...overrides };
}

/** What a thread runs, in place of the real one. */
const script = (text: string) => new URL(`data:text/javascript,${encodeURIComponent(text)}`);
const HANGS_ON_B = script(`
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ text }) => {
    while (text === 'b');
    parentPort.postMessage({ finds: new Int32Array(0), spentMs: 1 });
  });
  parentPort.postMessage('ready');
`);

describe('the pool', () => {
  it('answers with text, expression, start and end of every find', async () => {
    const { finds } = await open().run(job('abbabb', { ends: Uint32Array.of(3, 6) }));
    expect([...finds!]).toEqual([0, 0, 1, 3, 0, 1, 0, 1, 1, 0, 1, 3, 1, 1, 0, 1]);
  });

  it('begins where each expression is to begin', async () => {
    const { finds } = await open().run(job('abbab', { froms: Int32Array.of(2, 1) }));
    expect([...finds!]).toEqual([0, 0, 2, 3, 0, 0, 4, 5]);
  });

  it('says when the time is over', async () => {
    const text = 'x y'.repeat(20_000);
    const slow = { set: { id: 1, owner: OWNER, patterns: ['\\b.{0,900}z'] }, timeMs: 1 };
    expect((await open().run(job(text, slow))).finds).toBeNull();
  });

  it('says when there is too much to find', async () => {
    expect((await open().run(job('babab', { findsMax: 2 }))).finds).toBeNull();
  });

  it('knows more sets than a thread keeps', async () => {
    open();
    for (let id = 1; id <= 80; id++) {
      const set = { id: ((id * 7) % 40) + 1, owner: OWNER, patterns: [`x${((id * 7) % 40) + 1}y`] };
      const { finds } = await pool.run(job(`x${set.id}y`, { set }));
      expect([...finds!]).toEqual([0, 0, 0, `x${set.id}y`.length]);
    }
  });

  it('ends a thread that hangs, and replaces it', async () => {
    const clock = createManualClock();
    open({ clock, script: HANGS_ON_B });
    await pool.run(job('a'));
    const hung = pool.run(job('b'));
    const behind = pool.run(job('a'));
    clock.advance(200 + 100);
    await expect(hung).rejects.toMatchObject({ type: 'redaction_failed' });
    await expect(behind).resolves.toMatchObject({ spentMs: 1 });
  });

  it('does not try a set again at once whose first job ended its thread', async () => {
    const clock = createManualClock();
    open({ clock, script: HANGS_ON_B });
    await pool.run(job('a'));
    const set = { id: 2, owner: OWNER, patterns: ['b'] };
    const first = pool.run(job('b', { set }));
    clock.advance(200 + 100 + 2_000);
    const stopped = { type: 'redaction_failed' };
    await expect(first).rejects.toMatchObject(stopped);
    await expect(pool.run(job('a', { set }))).rejects.toMatchObject(stopped);
    await expect(pool.run(job('a'))).resolves.toMatchObject({ spentMs: 1 });
    clock.advance(60_000);
    await expect(pool.run(job('a', { set }))).resolves.toMatchObject({ spentMs: 1 });
  });

  it('refuses all that waits when no thread starts', async () => {
    open({ script: script('throw new Error("broken")') });
    const all = await Promise.allSettled([pool.run(job('a')), pool.run(job('b'))]);
    expect(all).toMatchObject(Array(2).fill({ status: 'rejected', reason: { type: 'redaction_failed' } }));
  });

  it('lets a bounded number of jobs wait, and a part of them of one owner', async () => {
    open({ jobsWaitingMax: 8 });
    const owners = [0, 0, 0, 1, 1, 2, 2, 3, 3, 4].map((id) => ({
      id: 1,
      owner: OWNERS[id]!,
      patterns: ['a'],
    }));
    const all = await Promise.allSettled(owners.map((set) => pool.run(job('a', { set }))));
    expect(all.map(({ status }) => status === 'fulfilled')).toEqual([
      ...[true, true, false],
      ...[true, true, true, true, true, true, false],
    ]);
  });

  it('gives owners their turns one after the other, however much one of them asks', async () => {
    open();
    const done: string[] = [];
    const run = async (name: string, owner: number) => {
      await pool.run(job('a', { set: { id: 1, owner: OWNERS[owner]!, patterns: ['a'] } }));
      done.push(name);
    };
    await Promise.all([run('a1', 0), run('a2', 0), run('a3', 0), run('b1', 1), run('b2', 1), run('c1', 2)]);
    expect(done).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('lets what runs end when it closes, and takes nothing more', async () => {
    open();
    await pool.run(job('a'));
    const running = pool.run(job('ab'));
    const waiting = pool.run(job('ab'));
    await Promise.all([
      expect(running).resolves.toMatchObject({ finds: expect.any(Int32Array) }),
      expect(waiting).rejects.toMatchObject({ type: 'redaction_failed' }),
      pool.close(),
    ]);
    await expect(pool.run(job('a'))).rejects.toMatchObject({ type: 'redaction_failed' });
  });
});
