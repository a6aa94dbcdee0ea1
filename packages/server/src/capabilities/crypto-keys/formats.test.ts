import { describe, expect, it } from 'vitest';
import { decodeBase64, parseVersioned, writeVersioned } from './formats.js';

describe('base64', () => {
  it.each(['', 'AA==', 'AAA=', 'AAAA', '+/+/', '-_-_', '-_8=', '-_8', '+/8', 'Zm9vYg=='])(
    'reads %j',
    (text) => {
      expect(decodeBase64(text)).toEqual(Buffer.from(text, 'base64'));
    },
  );

  it.each([
    ['A', 'a character alone'],
    ['AB==', 'bits that stand for nothing'],
    ['AA=', 'half a padding'],
    ['AA===', 'more padding than there is'],
    ['AAAA====', 'padding of nothing'],
    ['+_8=', 'both alphabets'],
    ['AA AA', 'a space'],
    ['AAAA\n', 'a line end'],
    ['AA==AAAA', 'padding in the middle'],
    ['é', 'no such alphabet'],
  ])('refuses %j: %s', (text) => {
    expect(decodeBase64(text)).toBeNull();
  });
});

describe('the form of ciphertexts and signatures', () => {
  it('is read as it is written', () => {
    const bytes = Buffer.from([0xfb, 0xff, 0]);
    expect(writeVersioned(12, bytes)).toBe('knoxcall:v12:+/8A');
    for (const text of ['knoxcall:v12:+/8A', 'vault:v12:+/8A', 'knoxcall:v12:-_8A'])
      expect(parseVersioned(text)).toEqual({ version: 12, bytes });
    expect(parseVersioned('knoxcall:v1:')).toEqual({ version: 1, bytes: Buffer.alloc(0) });
  });

  it.each([
    '',
    'knoxcall:v1',
    'knoxcall:v0:AAAA',
    'knoxcall:v01:AAAA',
    'knoxcall:v-1:AAAA',
    'knoxcall:v1e3:AAAA',
    'knoxcall:v1234567890:AAAA',
    'knoxcall:v:AAAA',
    'knoxcall:1:AAAA',
    'KNOXCALL:v1:AAAA',
    'other:v1:AAAA',
    ' knoxcall:v1:AAAA',
    'knoxcall:v1:AAA?',
    'knoxcall:v1:AAAA:AAAA',
    'kc:1:s:AAAA:$',
  ])('is not %j', (text) => {
    expect(parseVersioned(text)).toBeNull();
  });
});
