import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ByteCollector } from './byte-collector.js';

it('gives what the pieces are together', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
      const collector = new ByteCollector();
      for (const piece of pieces) collector.add(Buffer.from(piece));
      const whole = Buffer.concat(pieces);
      expect(collector.length).toBe(whole.length);
      expect(collector.take().equals(whole)).toBe(true);
      expect([collector.length, collector.take().length]).toEqual([0, 0]);
    }),
  );
});

it('keeps one piece without a copy, and writes into none that it was given', () => {
  const collector = new ByteCollector();
  const first = Buffer.from('first');
  collector.add(first);
  collector.add(Buffer.from(' second'));
  expect(collector.take().toString()).toBe('first second');
  collector.add(first);
  expect(collector.take().buffer).toBe(first.buffer);
  expect(first.toString()).toBe('first');
});

it('a million pieces of one byte take at most twice their bytes', () => {
  const collector = new ByteCollector();
  const piece = Buffer.from('a');
  for (let i = 0; i < 1_000_000; i++) collector.add(piece);
  const taken = collector.take();
  expect(taken.length).toBe(1_000_000);
  expect(taken.buffer.byteLength).toBeLessThanOrEqual(2_000_000);
});
