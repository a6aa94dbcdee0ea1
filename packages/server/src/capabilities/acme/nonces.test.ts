import { beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { systemRandom } from '../../platform/crypto/random.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createNonces, type Nonces } from './nonces.js';

const PLACE = '/pki/t/r/role/acme';

let clock: ManualClock;
let nonces: Nonces;
const made = (key = 1) =>
  createNonces({ clock, random: systemRandom, rootKey: new Secret(Buffer.alloc(32, key)) });

beforeEach(() => {
  clock = createManualClock(1_800_000_000_000);
  nonces = made();
});

describe('nonces', () => {
  it('are base64url, no two alike, and known to every process with the root key', () => {
    const given = Array.from({ length: 100 }, () => nonces.issue(PLACE));
    expect(new Set(given).size).toBe(100);
    for (const nonce of given) {
      expect(nonce).toMatch(/^[A-Za-z0-9_-]{48}$/);
      expect(made().read(PLACE, nonce)).not.toBeNull();
    }
    expect(new Set(given.map((nonce) => nonces.read(PLACE, nonce)?.key)).size).toBe(100);
  });

  it('are good for their directory and under their root key alone', () => {
    const nonce = nonces.issue(PLACE);
    expect(nonces.read('/pki/t/r/other/acme', nonce)).toBeNull();
    expect(made(2).read(PLACE, nonce)).toBeNull();
  });

  it('end after an hour, and are remembered for longer than that', () => {
    const nonce = nonces.issue(PLACE);
    clock.advance(LIMITS.acmeNonceMs);
    const read = nonces.read(PLACE, nonce);
    expect(read?.expiresAtMs).toBeGreaterThan(clock.nowMs());
    clock.advance(1);
    expect(nonces.read(PLACE, nonce)).toBeNull();
  });

  it('of a clock that is far ahead are not taken', () => {
    clock.advance(LIMITS.acmeClockSkewMs + 1);
    const nonce = nonces.issue(PLACE);
    const behind = createNonces({
      clock: { nowMs: () => 1_800_000_000_000 },
      random: systemRandom,
      rootKey: new Secret(Buffer.alloc(32, 1)),
    });
    expect(behind.read(PLACE, nonce)).toBeNull();
  });

  it.each([
    ['empty', ''],
    ['another alphabet', '+/+/'.repeat(12)],
    ['padding', `${'A'.repeat(47)}=`],
    ['zeros', 'A'.repeat(48)],
    ['long', 'A'.repeat(100_000)],
  ])('that are made up are not taken: %s', (_name, text) => {
    expect(nonces.read(PLACE, text)).toBeNull();
  });

  it('that are changed by one bit are not taken', () => {
    const bytes = Buffer.from(nonces.issue(PLACE), 'base64url');
    for (const at of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      expect(nonces.read(PLACE, changed.toString('base64url'))).toBeNull();
    }
  });
});
