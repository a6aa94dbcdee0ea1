import { Transform, type TransformCallback } from 'node:stream';
import zlib from 'node:zlib';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';

/** What a text may grow to by decoding, beside the size that redaction takes anyway: more is made to exhaust. */
const RATIO_MAX = 100;
/** RFC 8878 §3.1.1.1.2: what every decoder has to support, and none more than that here. */
const ZSTD_WINDOW_BITS_MAX = 23;

type Decoder = zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress;

/** Node 20 has no zstd (docs/decisions/0057): its declarations name none. */
const { createZstdDecompress, constants } = zlib as typeof zlib & {
  createZstdDecompress?: (options: { params: Record<number, number> }) => Decoder;
  constants: { ZSTD_d_windowLogMax?: number };
};

const DECODERS: ReadonlyMap<string, () => Decoder> = new Map<string, () => Decoder>([
  ['gzip', () => zlib.createGunzip()],
  ['x-gzip', () => zlib.createGunzip()],
  ['deflate', () => zlib.createInflate()],
  ['br', () => zlib.createBrotliDecompress()],
  ...(createZstdDecompress
    ? [['zstd', () => createZstdDecompress({ params: zstdParameters() })] as [string, () => Decoder]]
    : []),
]);

function zstdParameters(): Record<number, number> {
  return { [constants.ZSTD_d_windowLogMax ?? 0]: ZSTD_WINDOW_BITS_MAX };
}

/** Null for a body that is not encoded. Throws for codings that cannot be undone, and for several at once. */
export function decoderFor(contentEncodings: readonly string[]): Transform | null {
  const codings = contentEncodings
    .flatMap((value) => value.toLowerCase().split(','))
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  if (codings.length === 0) return null;
  const create = codings.length === 1 ? DECODERS.get(codings[0]!) : undefined;
  if (!create) throw redactionFailed('the body is compressed in a way that redaction does not undo');
  return new DecodingTransform(create());
}

/** Undoes a content coding as the bytes come, with back-pressure; an output out of all proportion fails. */
class DecodingTransform extends Transform {
  readonly #decoder: Decoder;
  #bytesIn = 0;
  #bytesOut = 0;
  #isFlushing = false;

  constructor(decoder: Decoder) {
    super();
    this.#decoder = decoder;
    decoder.on('data', (chunk: Buffer) => {
      this.#bytesOut += chunk.length;
      if (this.#bytesOut > LIMITS.redactionBodyBytesMax + RATIO_MAX * this.#bytesIn) {
        this.destroy(redactionFailed('the body is compressed out of all proportion'));
      } else if (!this.push(chunk)) decoder.pause();
    });
    const fail = () => this.destroy(redactionFailed('the body is not compressed as it is said to be'));
    decoder.on('error', fail);
    // Behind its end Node's decoder takes no byte and answers none.
    decoder.on('end', () => {
      if (!this.#isFlushing) fail();
    });
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytesIn += chunk.length;
    // A failure is told by the decoder's event.
    this.#decoder.write(chunk, (error) => {
      if (!error) done();
    });
  }

  override _flush(done: TransformCallback): void {
    this.#isFlushing = true;
    this.#decoder.once('end', () => done());
    this.#decoder.end();
  }

  override _read(size: number): void {
    this.#decoder.resume();
    super._read(size);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#decoder.destroy();
    callback(error);
  }
}
