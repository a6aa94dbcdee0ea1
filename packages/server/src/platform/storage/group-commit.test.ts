import { describe, expect, it } from 'vitest';
import type { Insertion } from './database.js';
import { createGroupCommit, type GroupCommit } from './group-commit.js';

const LIMITS = { batchRowsMax: 4, batchBytesMax: 1_000, queueRowsMax: 10, queueBytesMax: 5_000 };

/** A commit that ends when the test says so; `batches` shows which groups went together. */
function createHarness(limits: Partial<typeof LIMITS> = {}) {
  const batches: string[][] = [];
  const ends: ((outcome: readonly (Error | undefined)[] | Error) => void)[] = [];
  const waiting: (() => void)[] = [];
  const group = createGroupCommit({
    ...LIMITS,
    ...limits,
    commit(groups) {
      batches.push(groups.map((rows) => rows.map((row) => row.shape.table).join('+')));
      for (const resume of waiting.splice(0)) resume();
      return new Promise((resolve, reject) => {
        ends.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
      });
    },
  });
  return {
    group,
    batches,
    /** Ends the commit that is on its way: all went well, or as given. */
    end: (outcome: readonly (Error | undefined)[] | Error = []) => ends.shift()?.(outcome),
    async untilBatches(count: number) {
      while (batches.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

function add(group: GroupCommit, name: string, { rows = 1, bytes = 1 } = {}): Promise<void> {
  const row: Insertion = {
    shape: { table: name, file: 'main', columns: [], given: 0 },
    values: [],
    isJson: true,
  };
  return group.add(
    Array.from({ length: rows }, () => row),
    bytes,
  );
}

describe('createGroupCommit', () => {
  it('joins what comes in one turn, and what comes while a batch is on its way', async () => {
    const { group, batches, end, untilBatches } = createHarness();
    const first = [add(group, 'a'), add(group, 'b')];
    await untilBatches(1);
    const second = [add(group, 'c'), add(group, 'd')];
    end();
    await Promise.all(first);
    await untilBatches(2);
    end();
    await Promise.all(second);
    expect(batches).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('waits some turns for more where many call, and not where few do', async () => {
    const { group, batches, end, untilBatches } = createHarness({ batchRowsMax: 100 });
    const busy = ['a', 'b', 'c', 'd', 'e'].map((name) => add(group, name));
    await untilBatches(1);
    const early = add(group, 'f');
    end();
    await Promise.all(busy);
    const late = add(group, 'g');
    await untilBatches(2);
    const alone = add(group, 'h');
    end();
    await Promise.all([early, late]);
    const tooLate = add(group, 'i');
    await untilBatches(3);
    end();
    await alone;
    await untilBatches(4);
    end();
    await tooLate;
    expect(batches).toEqual([['a', 'b', 'c', 'd', 'e'], ['f', 'g'], ['h'], ['i']]);
  });

  it('keeps to the rows and bytes of a batch, but lets one large write through', async () => {
    const { group, batches, end, untilBatches } = createHarness();
    const all = [
      add(group, 'a', { rows: 3 }),
      add(group, 'b', { rows: 2 }),
      add(group, 'c', { bytes: 1_000 }),
      add(group, 'd', { bytes: 2_000 }),
    ];
    for (let batch = 1; batch <= 4; batch++) {
      await untilBatches(batch);
      end();
    }
    await Promise.all(all);
    expect(batches).toEqual([['a+a+a'], ['b+b'], ['c'], ['d']]);
  });

  it('tells each caller its own outcome', async () => {
    const { group, end, untilBatches } = createHarness();
    const outcomes = Promise.allSettled([add(group, 'a'), add(group, 'b'), add(group, 'c')]);
    await untilBatches(1);
    end([undefined, new Error('taken'), undefined]);
    expect((await outcomes).map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('goes on after a commit that failed as a whole', async () => {
    const { group, end, untilBatches } = createHarness();
    const failed = expect(add(group, 'a')).rejects.toThrow('disk');
    await untilBatches(1);
    end(new Error('disk'));
    await failed;
    const next = add(group, 'b');
    await untilBatches(2);
    end();
    await next;
  });

  it.each([
    ['rows', { rows: 8 }, { rows: 3 }],
    ['bytes', { bytes: 4_000 }, { bytes: 1_001 }],
  ])('refuses what would pass the bound on %s, until there is room', async (_bound, filling, more) => {
    const { group, end, untilBatches } = createHarness({ batchRowsMax: 10 });
    const accepted = add(group, 'a', filling);
    const unavailable = { type: 'dependency_unavailable', retryAfterSeconds: 1 };
    await expect(add(group, 'b', more)).rejects.toMatchObject(unavailable);
    await untilBatches(1);
    await expect(add(group, 'b', more)).rejects.toMatchObject(unavailable);
    end();
    await accepted;
    const later = add(group, 'b', more);
    await untilBatches(2);
    end();
    await later;
  });

  it('flush waits for what was accepted, refused or not, and not for what comes later', async () => {
    const { group, end, untilBatches } = createHarness();
    await group.flush();
    const outcome = Promise.allSettled([add(group, 'a')]);
    let flushed = false;
    const flush = group.flush().then(() => (flushed = true));
    await untilBatches(1);
    const later = add(group, 'b');
    expect(flushed).toBe(false);
    end([new Error('taken')]);
    await flush;
    expect((await outcome)[0]?.status).toBe('rejected');
    await untilBatches(2);
    end();
    await later;
  });

  it('close refuses what comes later and waits for what was accepted', async () => {
    const { group, end, untilBatches } = createHarness();
    const accepted = add(group, 'a');
    const closed = group.close();
    await expect(add(group, 'b')).rejects.toMatchObject({ type: 'dependency_unavailable' });
    await untilBatches(1);
    end();
    await closed;
    await accepted;
  });

  it('lets a few callers go on in one turn, more where more wait, all in order', async () => {
    const { group, end, untilBatches } = createHarness({ batchRowsMax: 1_000, queueRowsMax: 1_000 });
    const seen: number[] = [];
    const adds = Array.from({ length: 160 }, (_, index) =>
      add(group, `${index}`).then(() => seen.push(index)),
    );
    await untilBatches(1);
    end();
    const turns: number[] = [];
    while (seen.length < adds.length) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      turns.push(seen.length - (turns.length === 0 ? 0 : turns.reduce((sum, count) => sum + count, 0)));
    }
    expect(seen).toEqual(adds.map((_, index) => index));
    expect(Math.max(...turns)).toBeLessThanOrEqual(40);
    await group.close();
  });
});
