import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GrowingBuffer } from './growing-buffer.js';

/** The memory that these pieces keep from being freed. */
function pinnedBytes(pieces: readonly Buffer[]): number {
  const memory = new Set(pieces.map((piece) => piece.buffer));
  return Array.from(memory).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

describe('a growing buffer', () => {
  const step = fc.oneof(
    fc.record({ append: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ take: fc.nat(400) }),
    fc.record({ drop: fc.nat(400) }),
  );

  it('gives back what came, in order, and never changes what has left', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const buffer = new GrowingBuffer();
        let model = Buffer.alloc(0);
        const taken: { bytes: Buffer; expected: string }[] = [];
        for (const step of steps) {
          if ('append' in step) {
            const piece = Buffer.from(step.append);
            buffer.append(piece);
            model = Buffer.concat([model, piece]);
          } else if ('take' in step) {
            const expected = model.subarray(0, step.take).toString('hex');
            taken.push({ bytes: buffer.take(step.take), expected });
            model = model.subarray(step.take);
          } else {
            buffer.drop(step.drop);
            model = model.subarray(step.drop);
          }
          expect(buffer.length).toBe(model.length);
          expect(buffer.view().equals(model)).toBe(true);
        }
        expect(taken.map(({ bytes }) => bytes.toString('hex'))).toEqual(
          taken.map(({ expected }) => expected),
        );
      }),
    );
  });

  it('copies no piece that comes while nothing is held', () => {
    const buffer = new GrowingBuffer();
    const piece = Buffer.alloc(1000, 'a');
    buffer.append(piece);
    expect(buffer.take(990).buffer).toBe(piece.buffer);
    buffer.drop(10);
    buffer.append(piece);
    expect(buffer.view().buffer).toBe(piece.buffer);
  });

  it('moves what it holds a few times, however small the pieces are', () => {
    const buffer = new GrowingBuffer();
    const memory = new Set<unknown>();
    for (let i = 0; i < 100_000; i++) {
      buffer.append(Buffer.from('a'));
      memory.add(buffer.view().buffer);
    }
    expect(memory.size).toBeLessThan(20);
    expect(pinnedBytes([buffer.view()])).toBeLessThan(3 * 100_000);
  });

  it('lets go of small pieces that keep no large memory', () => {
    const buffer = new GrowingBuffer();
    buffer.append(Buffer.alloc(65_000, 'a'));
    const taken: Buffer[] = [];
    for (let i = 0; i < 25_000; i++) {
      buffer.append(Buffer.from('a'));
      taken.push(buffer.take(1));
    }
    expect(pinnedBytes(taken)).toBeLessThan(1_000_000);
    buffer.drop(buffer.length);
    expect(buffer.view().buffer.byteLength).toBe(0);
  });
});
