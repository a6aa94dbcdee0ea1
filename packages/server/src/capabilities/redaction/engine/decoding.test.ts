import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decoderFor } from './decoding.js';

const TEXT = Buffer.from('Grüße, '.repeat(20_000));
const REFUSED = { type: 'redaction_failed', status: 502 };
const hasZstd = 'createZstdDecompress' in zlib;

async function decode(coding: string, chunks: readonly Buffer[]): Promise<Buffer> {
  const out: Buffer[] = [];
  await pipeline(Readable.from(chunks), decoderFor([coding])!, async (source) => {
    for await (const chunk of source) out.push(chunk as Buffer);
  });
  return Buffer.concat(out);
}

describe('decoderFor', () => {
  it.each([
    ['gzip', zlib.gzipSync(TEXT)],
    ['X-GZIP', zlib.gzipSync(TEXT)],
    [' br ', zlib.brotliCompressSync(TEXT)],
    ['deflate', zlib.deflateSync(TEXT)],
    ['identity, gzip', zlib.gzipSync(TEXT)],
    ['gzip', Buffer.concat([zlib.gzipSync(TEXT.subarray(0, 7000)), zlib.gzipSync(TEXT.subarray(7000))])],
  ])('undoes %s, however it was cut', async (coding, bytes) => {
    const bytesEach = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    for (const chunks of [[bytes], bytesEach]) expect((await decode(coding, chunks)).equals(TEXT)).toBe(true);
  });

  it.skipIf(!hasZstd)('undoes zstd (skipped: this Node has none)', async () => {
    const compress = (zlib as unknown as { zstdCompressSync(bytes: Buffer): Buffer }).zstdCompressSync;
    expect((await decode('zstd', [compress(TEXT)])).equals(TEXT)).toBe(true);
  });

  it.skipIf(hasZstd)('refuses zstd where Node has none (skipped: this Node has it)', () => {
    expect(() => decoderFor(['zstd'])).toThrow(expect.objectContaining(REFUSED));
  });

  it.each([
    ['gzip', zlib.gzipSync(TEXT)],
    ['deflate', zlib.deflateSync(TEXT)],
    ['br', zlib.brotliCompressSync(TEXT)],
  ])('refuses bytes behind the end of %s', async (coding, bytes) => {
    const more = Buffer.from('more');
    for (const chunks of [[Buffer.concat([bytes, more])], [bytes, more]])
      await expect(decode(coding, chunks)).rejects.toMatchObject(REFUSED);
  });

  it.each(['compress', 'gzip, br', 'aes128gcm', '*'])('refuses %s', (coding) => {
    expect(() => decoderFor([coding])).toThrow(expect.objectContaining(REFUSED));
  });

  it('refuses two fields as it does two values', () => {
    expect(() => decoderFor(['gzip', 'gzip'])).toThrow(expect.objectContaining(REFUSED));
  });

  it.each([[], [''], ['identity'], ['Identity', '']])('leaves %j alone', (...codings) => {
    expect(decoderFor(codings.flat())).toBeNull();
  });

  it.each([
    ['what is not compressed', Buffer.from('{"a":1}')],
    ['what is cut off', zlib.gzipSync(TEXT).subarray(0, -9)],
    ['what grows out of all proportion', zlib.gzipSync(Buffer.alloc(20 * 1024 * 1024))],
  ])('fails on %s', async (_, bytes) => {
    await expect(decode('gzip', [bytes])).rejects.toMatchObject(REFUSED);
  });

  it('lets go at once what a flushed part holds', async () => {
    const compressor = zlib.createGzip();
    const decoder = decoderFor(['gzip'])!;
    compressor.pipe(decoder);
    compressor.write('data: 1\n\n');
    compressor.flush();
    const first = await new Promise((resolve) => decoder.once('data', resolve));
    expect(String(first)).toBe('data: 1\n\n');
    compressor.destroy();
    decoder.destroy();
  });

  it('waits for who reads', async () => {
    const decoder = decoderFor(['gzip'])!;
    const bytes = zlib.gzipSync(Buffer.alloc(4 * 1024 * 1024));
    decoder.write(bytes);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(decoder.readableLength).toBeLessThan(256 * 1024);
    decoder.destroy();
  });
});
