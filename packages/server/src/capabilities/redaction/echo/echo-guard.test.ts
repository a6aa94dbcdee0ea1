import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import type { TextEncoding } from '../engine/byte-text.js';
import { guardHeaders } from '../engine/header-rules.js';
import { EchoGuard } from './echo-guard.js';
import type { Syntax } from './number-track.js';

const PAN = '4111111111111111';

interface Options {
  readonly encoding?: TextEncoding;
  readonly syntax?: Syntax;
  readonly pieces?: number;
}

function guardOf(values: Record<string, string>): EchoGuard {
  return new EchoGuard(
    Object.entries(values).map(([token, value]) => ({ token, value: new Secret(value), isGuarded: true })),
  );
}

function guarded(text: string | Buffer, values: Record<string, string>, options: Options = {}): string {
  const bytes = Buffer.from(text as string);
  const scanner = guardOf(values).scanner(options.encoding ?? 'utf-8', options.syntax ?? 'unknown');
  const size = options.pieces ?? bytes.length;
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(scanner.push(bytes.subarray(at, at + size)));
  out.push(scanner.end());
  return Buffer.concat(out).toString(options.encoding === 'single-byte' ? 'latin1' : 'utf8');
}

describe('a value that comes back is its token again', () => {
  const odd = { tok_odd: 'a"b\\c\n/é😀 x' };
  it.each([
    ['raw', `card ${PAN}, ${PAN}!`, { tok_1: PAN }, 'card tok_1, tok_1!'],
    ['in a JSON string', `{"a":"${PAN}"}`, { tok_1: PAN }, '{"a":"tok_1"}'],
    ['escaped as JSON.stringify does', JSON.stringify({ a: odd.tok_odd }), odd, '{"a":"tok_odd"}'],
    ['escaped to ASCII', '"a\\"b\\\\c\\n/\\u00e9\\ud83d\\ude00 x"', odd, '"tok_odd"'],
    ['escaped otherwise', '"\\u0061\\u0022b\\u005Cc\\u000a\\/é😀\\u0020x"', odd, '"tok_odd"'],
    ['in part', '"\\u00341111111\\u00311111111 \\u0041"', { tok_1: PAN }, '"tok_1 \\u0041"'],
    ['percent-encoded', `q=${encodeURIComponent(odd.tok_odd)}&x`, odd, 'q=tok_odd&x'],
    ['percent-encoded in lower case', 'a%22b%5cc%0a%2f%c3%a9%f0%9f%98%80%20x', odd, 'tok_odd'],
    ['percent-encoded in full', `x=%34%31${'1'.repeat(14)}`, { tok_1: PAN }, 'x=tok_1'],
    ['of a form', `q=${new URLSearchParams({ v: odd.tok_odd })}`, odd, 'q=v=tok_odd'],
    ['behind what is no escape', `\\x${PAN} 100%${PAN} %4`, { tok_1: PAN }, '\\xtok_1 100%tok_1 %4'],
    ['behind half of one', `\\u004${PAN}"`, { tok_1: PAN }, '\\u004tok_1"'],
    ['with what begins no escape', 'q=a%20b%g1%1g', { tok_1: 'a b%g1%1g' }, 'q=tok_1'],
    ['with an end like the beginning of an escape', 'q=a%20b%20c%&x', { tok_1: 'a b c%' }, 'q=tok_1&x'],
    ['with such an end, last', 'q=a%20b%20c%4', { tok_1: 'a b c%4' }, 'q=tok_1'],
    ['in the form of the place', '"\\u00341111111 x"', { 'a"é b': '41111111' }, '"a\\"\\u00e9 b x"'],
    ['encoded where that is the form', 'a=%34111111', { 'tok é+1': '4111111' }, 'a=tok%20%C3%A9%2B1'],
    ['encoded in full', 'a=%34111111', { "it's\ud800": '4111111' }, 'a=it%27s%3F'],
    ['encoded as a form is', 'a=b+cdefg', { 'tok 1': 'b cdefg' }, 'a=tok+1'],
    ['hidden so too where two are read', '\\"yyyyyy', { '<i>': '\\"yyyyyy', tok_2: '"yyyyyy' }, '[REDACTED]'],
    ['hidden where its token cannot stand', '<b>4111111</b>', { '<i>': '4111111' }, '<b>[REDACTED]</b>'],
  ])('%s', (_, text, values, expected) => {
    for (const pieces of [1, 3, 1000]) expect(guarded(text, values, { pieces })).toBe(expected);
  });

  it('in the bytes of its character set', () => {
    const latin1 = Buffer.from('grüße, möller', 'latin1');
    expect(guarded(latin1, { tok_1: 'möller' }, { encoding: 'single-byte' })).toBe('grüße, tok_1');
  });

  it.each([
    ['q=m%C3%B6ller&x', 'q=tok_1&x'],
    ['q=m%F6ller', 'q=tok_1'],
    ['"m\\u00f6ller"', '"tok_1"'],
    ['"\\u0418\\u0432\\u0430\\u043d\\u00e9 \\ud83d\\ude00"', '"tok_2"'],
    ['%D0%98%D0%B2%D0%B0%D0%BD%C3%A9%20%F0%9F%98%80', 'tok_2'],
  ])('escaped in a text of another character set: %s', (text, expected) => {
    const values = { tok_1: 'möller', tok_2: 'Иванé 😀' };
    for (const pieces of [1, 1000]) {
      expect(guarded(text, values, { encoding: 'single-byte', pieces })).toBe(expected);
    }
  });

  it('but not where a backslash makes another letter of its first', () => {
    const text = '{"a":"x\\nabcdef","b":"nabcdef \\\\nabcdef"}';
    expect(guarded(text, { tok_1: 'nabcdef' })).toBe('{"a":"x\\nabcdef","b":"tok_1 \\\\tok_1"}');
    expect(guarded('C:\\nabcdef', { tok_1: 'nabcdef' })).toBe('C:\\tok_1');
  });

  it.each([
    ['abcdef', 'abc\\ud83ddef'],
    ['abcX😀', 'abc\\ud83dX\\ude00'],
    ['abc\n😀', 'abc\\ud83d\\n\\ude00'],
    ['abcdef\\', '\\u0061bcdef\\ud83d\\q'],
    ['abcd😀', 'abc\\ud83d\\u0064\\ude00'],
    ['abc😀', 'abc\\ud83d\\ud83d\\ude00'],
  ])('nor is %j where half a character stands in it: %s', (value, written) => {
    for (const pieces of [1, 1000])
      expect(guarded(`"${written}"`, { tok_1: value }, { pieces })).toBe(`"${written}"`);
  });

  it('and the longest of several, the first of two alike', () => {
    const values = { tok_short: '411111', tok_long: '41111122', tok_same: '411111' };
    expect(guarded('4111112 41111122 411111', values)).toBe('tok_short2 tok_long tok_short');
  });

  it('also where a longer one had begun around it', () => {
    expect(guarded('xxabcdef!', { tok_long: 'xxabcdef9', tok_1: 'abcdef' })).toBe('xxtok_1!');
  });

  it('and hidden where two overlap', () => {
    expect(guarded('xabcdefghij', { tok_1: 'abcdef', tok_2: 'efghij' })).toBe('x[REDACTED]');
    expect(guarded('xabcdefghijk', { tok_1: 'abcdef', tok_2: 'fghijk' })).toBe('x[REDACTED]');
  });

  it('behind ever so many escapes', () => {
    const written = '\\u0061';
    for (let count = 1; count < 100; count++) {
      const text = `"${written.repeat(count)}bcdef"`;
      expect(guarded(text, { tok_1: 'abcdef' })).toBe(`"${written.repeat(count - 1)}tok_1"`);
    }
  });
});

describe('a JSON number', () => {
  it.each([
    [`{"a":${PAN},"b":1}`, '{"a":null,"b":1}'],
    [`[[1,${PAN}]]`, '[[1,null]]'],
    [`{"a":-0.12${PAN}99e5}`, '{"a":null}'],
    [`{"a":"1",\n"b": ${PAN} }`, '{"a":"1",\n"b": null }'],
    [`{"a":"\\"",  "b":${PAN}}`, '{"a":"\\"",  "b":null}'],
    [`{"a":"it is 5 ${PAN}","n":${PAN}${PAN}}`, '{"a":"it is 5 tok_1","n":null}'],
    [`{"a":5E${PAN},"b":5e+${PAN}}`, '{"a":null,"b":null}'],
    [`{"a":"b\r","c":${PAN}}`, '{"a":"b\r","c":tok_1}'],
    [`\ufeff{"a":${PAN}}`, '\ufeff{"a":null}'],
    [`{}\n{"a":${PAN}}`, '{}\n{"a":null}'],
    [`[INFO] card ${PAN}`, '[INFO] card tok_1'],
    [`${PAN}`, 'tok_1'],
  ])('%s', (text, expected) => {
    for (const pieces of [1, 5, 1000]) expect(guarded(text, { tok_1: PAN }, { pieces })).toBe(expected);
  });

  it('also where the answer is nothing else', () => {
    expect(guarded(PAN, { tok_1: PAN }, { syntax: 'json' })).toBe('null');
    expect(guarded(`data: {"a":${PAN}}\n\n`, { tok_1: PAN }, { syntax: 'json', pieces: 2 })).toBe(
      'data: {"a":null}\n\n',
    );
  });

  it('whose exponent a form would read as a space', () => {
    const values = { tok_1: '12345678', tok_2: '78e 9999' };
    for (const pieces of [1, 1000]) {
      const given = (text: string) => guarded(text, values, { syntax: 'json', pieces });
      expect(given('{"a":178e+999912}')).toBe('{"a":null}');
      expect(given('{"a":12345678e+999912}')).toBe('{"a":null}');
      expect(given('"178e+9999"')).toBe('"1tok_2"');
    }
  });

  it('that has no end fails closed', () => {
    const number = `[${'1'.repeat(2000)}22${PAN}]`;
    expect(() => guarded(number, { tok_1: `22${PAN}` }, { syntax: 'json', pieces: 100 })).toThrow(
      expect.objectContaining({ type: 'redaction_failed' }),
    );
  });
});

describe('the guard', () => {
  it('makes the same of a text however it is cut', () => {
    const unit = fc.constantFrom(
      'a',
      'b',
      'ab',
      '\\',
      '"',
      '\\u0061',
      '\\u00',
      '%61',
      '%6',
      '+',
      ' ',
      'é',
      '%C3%A9',
      '\n',
      '1',
      ',',
    );
    const values = { tok_1: 'aabbab', tok_2: 'bab aé', tok_3: 'aaaaaab', tok_4: 'a\\"bab', tok_5: '1111111' };
    const text = fc.array(unit, { maxLength: 60 }).map((units) => units.join(''));
    fc.assert(
      fc.property(
        text,
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom<Syntax>('json', 'none', 'unknown'),
        (sent, pieces, syntax) => {
          expect(guarded(sent, values, { pieces, syntax })).toBe(guarded(sent, values, { syntax }));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('lets no value through at any seam, in any of its forms', () => {
    const values = { tok_1: 'secret "é" 1' };
    const forms = [
      values.tok_1,
      JSON.stringify(values.tok_1).slice(1, -1),
      encodeURIComponent(values.tok_1),
      'secret+%22%C3%A9%22+1',
      's\\u0065cret \\u0022\\u00e9\\" 1',
    ];
    for (const form of forms) {
      const text = Buffer.from(`x ${form} y`);
      for (let cut = 1; cut < text.length; cut++) {
        const scanner = guardOf(values).scanner('utf-8', 'none');
        const parts = [scanner.push(text.subarray(0, cut)), scanner.push(text.subarray(cut)), scanner.end()];
        expect(Buffer.concat(parts).toString()).toBe('x tok_1 y');
      }
    }
  });

  it('holds back only what may be the beginning of a value', () => {
    const scanner = guardOf({ tok_1: PAN }).scanner('utf-8', 'none');
    expect(scanner.push(Buffer.from('data: 4111')).toString()).toBe('data: ');
    expect(scanner.push(Buffer.from('1 next \\')).toString()).toBe('41111 next ');
    expect(scanner.push(Buffer.from('n')).toString()).toBe('\\n');
    expect(scanner.push(Buffer.from('end\n\n')).toString()).toBe('end\n\n');
  });

  it('passes on the very bytes where nothing is held', () => {
    const chunk = Buffer.from('nothing in it');
    const out = guardOf({ tok_1: PAN }).scanner('utf-8', 'none').push(chunk);
    expect([out.buffer === chunk.buffer, out.length]).toEqual([true, chunk.length]);
  });

  it('reads text of many beginnings once', () => {
    const value = `${'ab'.repeat(30_000)}c`;
    const text = 'ab'.repeat(500_000);
    const scanner = guardOf({ tok_1: value }).scanner('utf-8', 'none');
    let out = 0;
    for (let at = 0; at < text.length; at += 65_536)
      out += scanner.push(Buffer.from(text.slice(at, at + 65_536))).length;
    expect(out + scanner.end().length).toBe(text.length);
  });

  it('looks for no long value by a search whose time is not that of the text', () => {
    const search = vi.spyOn(Buffer.prototype, 'includes');
    const text = Buffer.from('a'.repeat(65_536));
    const lengthsSoughtOf = (value: string): number[] => {
      search.mockClear();
      expect(guardOf({ tok_1: value }).scanner('utf-8', 'none').whole(text).equals(text)).toBe(true);
      return search.mock.calls.flatMap(([sought]) => (Buffer.isBuffer(sought) ? [sought.length] : []));
    };
    try {
      expect(lengthsSoughtOf(`${'a'.repeat(100)}b${'a'.repeat(99)}`)).toEqual([200]);
      expect(lengthsSoughtOf(`${'a'.repeat(300)}b${'a'.repeat(32_000)}`)).toEqual([]);
    } finally {
      search.mockRestore();
    }
  });

  it('reads a value of many escapes that are none in a time that grows with the text', () => {
    const value = '%zz\\q'.repeat(13_000);
    const text = Buffer.from(value + '%zz\\q'.repeat(13_000));
    const startedMs = performance.now();
    const scanner = guardOf({ tok_1: value }).scanner('utf-8', 'none');
    const out = [scanner.push(text), scanner.end()];
    expect(Buffer.concat(out).toString()).toBe('[REDACTED]');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('looks through many headers with what it made once of its values', () => {
    const values = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`tok_${i}`, `${i}${'abcdefgh'.repeat(8000)}${i}`] as const),
    );
    const headers = Array.from({ length: 2_000 }, (_, i) => [
      `x-${i}`,
      `19${'abcdefgh'.repeat(i % 3)}`,
    ]).flat();
    const startedMs = performance.now();
    expect(guardHeaders(headers, guardOf(values))).toEqual(headers);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('lets go of what overlaps again and again, as one', () => {
    const scanner = guardOf({ tok_1: 'aaaaaa' }).scanner('utf-8', 'none');
    const chunk = Buffer.alloc(1024, 'a');
    expect(scanner.push(Buffer.from(`x${'a'.repeat(20)}`)).toString()).toBe('x[REDACTED]');
    for (let i = 0; i < 10; i++) expect(scanner.push(chunk)).toHaveLength(0);
    expect(scanner.heldBytes).toBeLessThan(10);
    expect(scanner.push(Buffer.from('aab y')).toString()).toBe('b y');
    expect(scanner.end()).toHaveLength(0);
  });

  it('lets go of an answer in tiny pieces without a copy of what it holds for each', () => {
    const value = `${'a'.repeat(65_000)}b`;
    const scanner = guardOf({ tok_1: value }).scanner('utf-8', 'none');
    const out = [scanner.push(Buffer.alloc(65_000, 'a'))];
    for (let i = 0; i < 25_000; i++) out.push(scanner.push(Buffer.from('a')));
    expect(scanner.heldBytes).toBe(65_000);
    out.push(scanner.push(Buffer.from('b')), scanner.end());
    expect(Buffer.concat(out).toString()).toBe(`${'a'.repeat(25_000)}tok_1`);
    const memory = new Set(out.map((piece) => piece.buffer));
    const pinned = Array.from(memory).reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(pinned).toBeLessThan(1_000_000);
  });

  it('counts what it replaced, and what it does not look for', () => {
    const values = [
      { token: 'a', value: new Secret('123456'), isGuarded: true },
      { token: 'b', value: new Secret('12345'), isGuarded: true },
      { token: 'c', value: new Secret('longenough'), isGuarded: false },
    ];
    const guard = new EchoGuard(values);
    expect(
      guard.scanner('utf-8', 'none').whole(Buffer.from('123456 12345 longenough 123456')).toString(),
    ).toBe('a 12345 longenough a');
    expect([guard.isActive, guard.guarded, guard.notGuarded]).toEqual([true, 2, 2]);
    expect(new EchoGuard(values.slice(1)).isActive).toBe(false);
  });

  it('refuses UTF-16, whose mark may come in two pieces', () => {
    const scanner = guardOf({ tok_1: PAN }).scanner('utf-8', 'none');
    scanner.push(Buffer.from([0xff]));
    expect(() => scanner.push(Buffer.from([0xfe]))).toThrow(
      expect.objectContaining({ type: 'redaction_failed' }),
    );
  });
});
