import { describe, expect, it } from 'vitest';
import { createExposition } from './exposition.js';
import { createInstruments } from './instruments.js';

async function read(instruments: ReturnType<typeof createInstruments>): Promise<string[]> {
  const { text } = await createExposition(instruments).read();
  return text.split('\n');
}

describe('the exposition', () => {
  it('shows counters, gauges and cumulated buckets', async () => {
    const instruments = createInstruments();
    instruments.counter('knox_a_total', 'How many.', { kind: 'x' }).add(3);
    instruments.counter('knox_a_total', 'How many.', { kind: 'y' });
    instruments.gauge('knox_b_rows', 'How full.', () => 7);
    const seconds = instruments.histogram('knox_c_seconds', 'How long.', [0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 20]) seconds.observe(value);
    expect(await read(instruments)).toEqual(
      expect.arrayContaining([
        '# HELP knox_a_total How many.',
        '# TYPE knox_a_total counter',
        'knox_a_total{kind="x"} 3',
        'knox_a_total{kind="y"} 0',
        '# TYPE knox_b_rows gauge',
        'knox_b_rows 7',
        '# TYPE knox_c_seconds histogram',
        'knox_c_seconds_bucket{le="0.1"} 2',
        'knox_c_seconds_bucket{le="1"} 3',
        'knox_c_seconds_bucket{le="+Inf"} 4',
        'knox_c_seconds_sum 20.65',
        'knox_c_seconds_count 4',
      ]),
    );
  });

  it('shows what was declared after it was first read', async () => {
    const instruments = createInstruments();
    const exposition = createExposition(instruments);
    await exposition.read();
    instruments.counter('knox_late_total', 'Late.').add();
    expect((await exposition.read()).text).toContain('knox_late_total 1\n');
  });

  it('tells of the process, every name beginning with knox_', async () => {
    const lines = (await read(createInstruments())).filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines.filter((line) => !line.startsWith('knox_'))).toEqual([]);
    const text = lines.join('\n');
    for (const name of [
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
      'nodejs_eventloop_lag_p99',
    ])
      expect(text).toContain(`knox_${name}`);
  });
});

describe('a declaration', () => {
  it('must begin with knox_', () => {
    expect(() => createInstruments().counter('a_total', 'x')).toThrow(/not called a_total/);
  });

  it('is one, whoever repeats it', () => {
    const instruments = createInstruments();
    instruments.counter('knox_a_total', 'x');
    expect(() => instruments.gauge('knox_a_total', 'x', () => 1)).toThrow(/two ways/);
    expect(() => instruments.counter('knox_a_total', 'y')).toThrow(/two ways/);
  });
});
