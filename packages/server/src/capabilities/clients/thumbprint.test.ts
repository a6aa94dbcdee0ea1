import { describe, expect, it } from 'vitest';
import { parseThumbprint } from './thumbprint.js';

const HEX = '0123456789abcdef'.repeat(4);
const COLONS = HEX.toUpperCase().match(/../g)!.join(':');

describe('a thumbprint', () => {
  it.each([
    HEX,
    HEX.toUpperCase(),
    COLONS,
    COLONS.replaceAll(':', ' '),
    ` ${HEX}\n`,
    `SHA256:${HEX}`,
    `sha256:${COLONS}`,
    `sha256 Fingerprint=${COLONS}`,
    `SHA256 Fingerprint=${COLONS}`,
    `SHA-256 Fingerprint: ${COLONS}`,
  ])('is read from %j', (text) => {
    expect(parseThumbprint(text)).toBe(HEX);
  });

  it.each([
    '',
    HEX.slice(1),
    `${HEX}0`,
    `${HEX.slice(1)}g`,
    `sha1 Fingerprint=${COLONS}`,
    `md5:${HEX}`,
    HEX.slice(0, 40),
    COLONS.replaceAll(':', '-'),
    `0x${HEX.slice(2)}`,
    `fingerprint=${HEX}`,
  ])('is not read from %j', (text) => {
    expect(parseThumbprint(text)).toBeNull();
  });
});
