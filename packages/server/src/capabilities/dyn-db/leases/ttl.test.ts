import { describe, expect, it } from 'vitest';
import { renewedExpiryMs, resolveTtl } from './ttl.js';

const connection = { defaultTtlSeconds: 3_600, maxTtlSeconds: 86_400 };
const none = { defaultTtlSeconds: null, maxTtlSeconds: null };

describe('the time that a mint is given', () => {
  it.each([
    ['nothing asked: the connection’s default', null, none, 3_600, 86_400],
    ['zero is as nothing', 0, none, 3_600, 86_400],
    ['less than zero is as nothing', -5, none, 3_600, 86_400],
    ['what is asked', 60, none, 60, 86_400],
    ['less than a stored one may be', 1, none, 1, 86_400],
    ['more than the connection’s maximum is cut', 172_800, none, 86_400, 86_400],
    ['the role’s default goes first', null, { ...none, defaultTtlSeconds: 600 }, 600, 86_400],
    ['and is cut to the connection’s maximum', null, { ...none, defaultTtlSeconds: 100_000 }, 86_400, 86_400],
    ['the role’s maximum, where it is lower', 5_000, { ...none, maxTtlSeconds: 1_800 }, 1_800, 1_800],
    ['cuts the connection’s default too', null, { ...none, maxTtlSeconds: 1_800 }, 1_800, 1_800],
    ['the role’s maximum, where it is higher', 90_000, { ...none, maxTtlSeconds: 100_000 }, 86_400, 86_400],
    ['all of the role’s', null, { defaultTtlSeconds: 900, maxTtlSeconds: 300 }, 300, 300],
  ])('%s', (_what, asked, role, seconds, maxSeconds) => {
    expect(resolveTtl(asked, role, connection)).toEqual({ seconds, maxSeconds });
  });
});

describe('the end of a renewed lease', () => {
  const lease = { ttlSeconds: 60, maxExpiresAtMs: 100_000 };
  it.each([
    ['as long again as at first', null, 10_000, 70_000],
    ['zero is as nothing', 0, 10_000, 70_000],
    ['what is asked', 5, 10_000, 15_000],
    ['never beyond its maximum', 3_600, 10_000, 100_000],
  ])('%s', (_what, asked, nowMs, expiresAtMs) => {
    expect(renewedExpiryMs(lease, asked, nowMs)).toBe(expiresAtMs);
  });
});
