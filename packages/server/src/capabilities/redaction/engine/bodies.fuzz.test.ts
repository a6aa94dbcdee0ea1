import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzz } from '../../../testing/fuzz.js';
import { builtin, ruleSet } from '../../../testing/redaction-rules.js';
import { through } from '../../../testing/transforms.js';
import { withCheckDigit } from '../../../testing/vault-harness.js';
import { redactHead } from './plan.js';
import { BUILTINS } from './scanner.js';

const RULES = ruleSet(...BUILTINS.map((kind) => builtin(kind)));
const type = fc.constantFrom(
  'text/plain',
  'application/json',
  'text/event-stream',
  'application/x-ndjson',
  null,
);

/** What the caller receives of an answer that arrives in these chunks. */
async function receive(contentType: string | null, chunks: readonly Buffer[]): Promise<Buffer> {
  const rawHeaders = contentType === null ? [] : ['Content-Type', contentType];
  const { body } = redactHead(
    RULES,
    { method: 'GET', status: 200, rawHeaders },
    {
      onRedacted: () => {},
      newSearch: () => expect.fail('there is no regex rule'),
      guard: null,
    },
  );
  return through(body, chunks);
}

/** Cuts anywhere, within characters too. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...chunks, bytes.subarray(at)].filter((chunk) => chunk.length > 0);
}

const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 200 });
const noise = fc.oneof(
  fc.constantFrom(
    ' ',
    '-',
    '.',
    '@',
    '\n',
    '\r\n',
    '\n\n',
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\\',
    '\\u0034',
  ),
  fc.constantFrom(
    'data: ',
    'event: x\n',
    'eyJ',
    'tk_',
    'AKIA',
    '-----BEGIN',
    '4111 ',
    '12',
    'é',
    '😀',
    'null',
    '1e15',
  ),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
);
const pan = fc.stringMatching(/^[3-6][0-9]{14}$/).map(withCheckDigit);
const mail = fc
  .tuple(fc.stringMatching(/^[a-z][a-z0-9]{2,12}$/), fc.stringMatching(/^[a-z]{3,12}$/))
  .map(([name, domain]) => `${name}@${domain}.com`);
const key = fc.oneof(
  fc.stringMatching(/^[A-Z2-7]{16}$/).map((rest) => `AKIA${rest}`),
  fc.stringMatching(/^[A-Za-z0-9]{36}$/).map((rest) => `ghp_${rest}`),
  fc
    .tuple(fc.stringMatching(/^[a-z0-9]{12}$/), fc.stringMatching(/^[A-Za-z0-9]{24}$/))
    .map(([id, rest]) => `tk_live_${id}_${rest}`),
);
const secret = fc.oneof(pan, mail, key);
const anyText = fc.array(fc.oneof(noise, noise, secret), { maxLength: 20 }).map((parts) => parts.join(''));
const anyBody = fc.oneof(
  anyText.map((text) => Buffer.from(text)),
  anyText.map((text) => Buffer.from(JSON.stringify({ a: [text, 1], [text]: text }))),
  anyText.map((text) => Buffer.from(`data: ${JSON.stringify(text)}\n\ndata: ${text}\n\n`)),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
);

test('an answer is the same however it is cut, and nothing but its named error is thrown', async () => {
  const outcome = (contentType: string | null, chunks: readonly Buffer[]) =>
    receive(contentType, chunks).then(
      (bytes) => bytes.toString('latin1'),
      (error: unknown) => {
        expect(error).toMatchObject({ type: 'redaction_failed' });
        return 'redaction_failed';
      },
    );
  await fc.assert(
    fc.asyncProperty(type, anyBody, sizes, async (contentType, body, lengths) => {
      const whole = await outcome(contentType, [body]);
      const pieces = await outcome(contentType, cut(body, lengths));
      // What has gone out before a failure is not compared: the caller's answer is cut off there.
      expect(pieces).toBe(whole);
    }),
    fuzz(1500),
  );
});

test('no planted secret leaves, in any kind of body, cut anywhere', async () => {
  const filler = fc.stringMatching(/^[ ,;()é\n]{1,12}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(filler, secret), { minLength: 1, maxLength: 6 }),
      filler,
      sizes,
      async (planted, tail, lengths) => {
        const text = planted.map(([before, one]) => before + one).join('') + tail;
        const json = JSON.stringify({ a: text, b: [{ [text]: text }] });
        const bodies = [
          ['text/plain', text],
          [null, text],
          ['application/json', json],
          [null, json],
          ['text/event-stream', `data: ${json}\n\ndata: ${text.replaceAll('\n', ' ')}\n\n`],
          ['application/x-ndjson', `${json}\n${json}\n`],
        ] as const;
        for (const [contentType, body] of bodies) {
          const out = (await receive(contentType, cut(Buffer.from(body), lengths))).toString();
          for (const [, one] of planted) expect(out).not.toContain(one);
          expect(out).toContain('[REDACTED]');
          if (contentType === 'application/json') {
            const wanted = planted.map(([before]) => `${before}[REDACTED]`).join('') + tail;
            expect(JSON.parse(out)).toEqual({ a: wanted, b: [{ [wanted]: wanted }] });
          }
        }
      },
    ),
    fuzz(200),
  );
});
