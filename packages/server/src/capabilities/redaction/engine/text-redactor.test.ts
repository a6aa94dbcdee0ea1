import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtinRules } from '../../../testing/redaction-rules.js';
import type { Builtin } from './scanner.js';
import { TextRedactor } from './text-redactor.js';

function redact(text: string, kinds?: readonly Builtin[]): string {
  return new TextRedactor(builtinRules(kinds), () => {}).whole(text);
}

const GITHUB = `ghp_${'a1B2'.repeat(9)}`;
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const PEM = `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n${'MIIEpAIBAAKC+/x='.repeat(20)}\n-----END RSA PRIVATE KEY-----`;

describe('found', () => {
  it.each<[Builtin, string, string]>([
    ['pan', '4111111111111111', '[REDACTED]'],
    ['pan', 'a 4111 1111 1111 1111 b', 'a [REDACTED] b'],
    ['pan', '4111-1111-1111-1111.', '[REDACTED].'],
    ['pan', '378282246310005', '[REDACTED]'],
    ['pan', '3782 822463 10005', '[REDACTED]'],
    ['pan', 'card=4111111111111111&x=1', 'card=[REDACTED]&x=1'],
    ['pan', '4111 1111 1111 1111 12/28', '[REDACTED] 12/28'],
    ['pan', 'id4111111111111111x', 'id[REDACTED]x'],
    ['pan', '6304000000000000', '[REDACTED]'],
    ['pan', 'of 12 digits 630400000000', 'of 12 digits [REDACTED]'],
    ['pan', 'of 19 digits 6304000000000000000', 'of 19 digits [REDACTED]'],
    ['pan', '411-111-111-111-1111', '[REDACTED]'],
    ['pan', 'No.4111111111111111', 'No.[REDACTED]'],
    ['pan', '100000000000009', '[REDACTED]'],
    ['ssn', 'ssn 123-45-6789.', 'ssn [REDACTED].'],
    ['ssn', '123 45 6789', '[REDACTED]'],
    ['ssn', '987-65-4321', '[REDACTED]'],
    ['ssn', '987-70-4321', '[REDACTED]'],
    ['email', 'mail <a.b+c@mail.example.co.uk>.', 'mail <[REDACTED]>.'],
    ['email', "'joe@example.com'", "'[REDACTED]'"],
    ['email', 'a@b.com,c@d.org', '[REDACTED],[REDACTED]'],
    ['email', 'x@bücher.de', '[REDACTED]'],
    ['email', 'a@x.com.', '[REDACTED].'],
    ['email', 'a@x.xn--p1ai', '[REDACTED]'],
    ['email', `${'a'.repeat(64)}@x.com`, '[REDACTED]'],
    ['email', `a@${'x'.repeat(251)}.com`, '[REDACTED]'],
    ['key', 'tk_live_abcdef123456_SECRETsecretSECRET', '[REDACTED]'],
    ['key', 'Bearer kc_test_abcdefgh12345678-_xyz"', 'Bearer [REDACTED]"'],
    ['key', 'AKE0123456789abc_secretSecret', '[REDACTED]'],
    ['key', 'key AKIAIOSFODNN7EXAMPLE.', 'key [REDACTED].'],
    ['key', '{"a":"x\\nAKIAIOSFODNN7EXAMPLE"}', '{"a":"x\\n[REDACTED]"}'],
    ['key', 'x\\rAKIAIOSFODNN7EXAMPLE x\\tAKIAIOSFODNN7EXAMPLE', 'x\\r[REDACTED] x\\t[REDACTED]'],
    ['key', 'x\\bAKIAIOSFODNN7EXAMPLE x\\fAKIAIOSFODNN7EXAMPLE', 'x\\b[REDACTED] x\\f[REDACTED]'],
    ['key', 'sk_live_4eC39HqLyjWDarjtT1zdp7dc', '[REDACTED]'],
    ['key', `token: ${GITHUB};`, 'token: [REDACTED];'],
    ['key', 'xoxb-1234567890-abcdefghij', '[REDACTED]'],
    ['key', `x ${JWT} y`, 'x [REDACTED] y'],
    ['key', `pem:\n${PEM}\nend`, 'pem:\n[REDACTED]\nend'],
    ['key', JSON.stringify({ pem: PEM }), '{"pem":"[REDACTED]"}'],
  ])('%s in %j', (kind, text, expected) => {
    expect(redact(text, [kind])).toBe(expected);
  });
});

describe('one redactor', () => {
  it('reads each text for itself', () => {
    const redactor = new TextRedactor(builtinRules(), () => {});
    for (const before of ['x', '4111 ', 'a@', 'tk_live_abcdef12', '-----BEGIN RSA PRIV', '123-45-']) {
      for (const secret of ['4111111111111111', '123-45-6789', 'a@b.com', 'AKIAIOSFODNN7EXAMPLE', JWT]) {
        redactor.whole(before);
        expect(redactor.whole(`${secret} x`)).toBe('[REDACTED] x');
      }
    }
  });

  it('replaces finds that have one character in common as one', () => {
    const [rule] = builtinRules(['pan']).values();
    const finds = [0, 2].map((start) => ({ rule: rule!, start, end: start + 3 }));
    expect(new TextRedactor(new Map(), () => {}).whole('abcdef', finds)).toBe('[REDACTED]f');
  });
});

describe('many finds in one text', () => {
  it('take a time that grows with them, not with their square', () => {
    const found = ['a@b.co', '4111111111111111', '123-45-6789'];
    const expected = '[REDACTED] '.repeat(100_000);
    for (const one of found) expect(redact(`${one} `.repeat(100_000))).toBe(expected);
    expect(redact(`${found.join(' ')} `.repeat(100_000))).toBe(expected.repeat(3));
  });
});

describe('not found', () => {
  it.each<[Builtin, string]>([
    ['pan', '4111111111111112'],
    ['pan', '41111111111111111111111'],
    ['pan', '0.4111111111111111'],
    ['pan', '1700000000000'],
    ['pan', '0000000000000000'],
    ['pan', '4111  1111 1111 1111'],
    ['pan', '4111-1111 1111-1111'],
    ['pan', '41-11-11-11-11-11-11-11'],
    ['pan', '41111111111111111111'],
    ['pan', '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1'],
    ['ssn', '000-45-6789'],
    ['ssn', '123-00-6789'],
    ['ssn', '123-45-0000'],
    ['ssn', '666-45-6789'],
    ['ssn', '123-45-67890'],
    ['ssn', '123-45 6789'],
    ['ssn', '900-12-3456'],
    ['email', 'me@localhost'],
    ['email', '@example.com'],
    ['email', 'a @ b.com'],
    ['key', 'tk_live_abc'],
    ['key', 'tk_live_new...'],
    ['key', 'XAKIAIOSFODNN7EXAMPLE'],
    ['key', 'XAKIAIOSFODNN7EXAMPLE '],
    ['key', 'AKIAIOSFODNN7EXAMPLEX'],
    ['key', 'eyJhbGciOiJIUzI1NiJ9 alone'],
    ['key', 'task_id risk_live'],
  ])('%s in %j', (kind, text) => {
    expect(redact(text, [kind])).toBe(text);
  });
});

describe('actions', () => {
  function act(action: 'remove' | 'partial_last4', text: string): string {
    return new TextRedactor(builtinRules(undefined, { action, replacement: '*' }), () => {}).whole(text);
  }

  it('removes what was found', () => {
    expect(act('remove', 'a 4111111111111111 b')).toBe('a  b');
  });

  it('shows the last four characters of one find', () => {
    expect(act('partial_last4', '4111 1111 1111 1111 x')).toBe('*1111 x');
    expect(act('partial_last4', `k ${GITHUB} x`)).toBe('k *a1B2 x');
  });

  it('shows nothing of a short find', () => {
    expect(act('partial_last4', 'a@b.co')).toBe('*');
  });

  it('shows nothing where two rules found overlapping text', () => {
    expect(act('partial_last4', `${GITHUB}@example.com`)).toBe('*');
  });
});

describe('pieces', () => {
  const secrets = [
    '4111111111111111',
    '5500 0055 5555 5559',
    '3782-822463-10005',
    '123-45-6789',
    'someone@mail.example.com',
    'tk_live_abcdef123456_SECRETsecretSECRET',
    'AKIAIOSFODNN7EXAMPLE',
    GITHUB,
    JWT,
    PEM,
  ];
  const noise = fc.oneof(
    fc.constantFrom(
      ' ',
      '-',
      '.',
      '@',
      '\n',
      '"',
      'eyJ',
      'tk_',
      'AK',
      '-----',
      'sk',
      '4111 ',
      '1 ',
      'é',
      ', ',
    ),
    fc.string({ maxLength: 12 }),
    fc.stringMatching(/^[0-9 -]{0,24}$/),
    fc.stringMatching(/^[a-z0-9.@]{0,24}$/),
  );
  const anyText = fc
    .array(fc.oneof(noise, fc.constantFrom(...secrets)), { maxLength: 12 })
    .map((parts) => parts.join(''));

  function inPieces(text: string, cuts: readonly number[]): string {
    const redactor = new TextRedactor(builtinRules(), () => {});
    let out = '';
    let at = 0;
    for (const size of cuts) {
      out += redactor.push(text.slice(at, at + size));
      at += size;
    }
    return out + redactor.push(text.slice(at)) + redactor.end();
  }

  it('makes the same of a text however it is cut', () => {
    fc.assert(
      fc.property(anyText, fc.array(fc.nat(9), { maxLength: 400 }), (text, cuts) => {
        expect(inPieces(text, cuts)).toBe(redact(text));
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  it('lets no secret through at any seam', () => {
    for (const secret of secrets) {
      const text = `before ${secret} after`;
      for (let cut = 0; cut <= text.length; cut++) {
        expect(inPieces(text, [cut])).toBe('before [REDACTED] after');
      }
    }
  });

  it('holds back only while inside a partial match', () => {
    const redactor = new TextRedactor(builtinRules(), () => {});
    expect(redactor.push('a sentence, ')).toBe('a sentence, ');
    expect(redactor.push('then 4111 11')).toBe('then ');
    expect(redactor.push('!')).toBe('4111 11!');
    expect(redactor.push('xoxb')).toBe('');
    expect(redactor.push(' ')).toBe('xoxb ');
  });

  it('does not collect a find without end', () => {
    const redactor = new TextRedactor(builtinRules(['key'], { action: 'partial_last4' }), () => {});
    expect(redactor.push('tk_live_abcdefgh')).toBe('');
    let out = '';
    for (let i = 0; i < 2000; i++) out += redactor.push('x'.repeat(1000));
    expect(out + redactor.push('WXYZ end')).toBe('[REDACTED]WXYZ end');
  });
});
