import { describe, expect, it } from 'vitest';
import { judgeName } from './name-policy.js';

const judged = (hostname: string, isOpened = false) =>
  judgeName(hostname, { ownNames: [], isOpened: () => isOpened });

describe('judgeName', () => {
  it.each([
    'internal',
    'local',
    'home.arpa',
    'svc',
    'cluster.local',
    'onion',
    'test',
    'invalid',
    'localhost',
  ])(
    'refuses what is under %s until the operator opens it, and no name that only ends in the same letters',
    (suffix) => {
      expect(judged(`a.${suffix}`)).toBe('internal_name');
      expect(judged(`a.b.${suffix}`)).toBe('internal_name');
      expect(judged(`a.${suffix}`, true)).toBeNull();
      expect(judged(`a.x${suffix}`)).toBe(suffix === 'cluster.local' ? 'internal_name' : null);
      expect(judged(`a.${suffix}.com`)).toBeNull();
    },
  );

  it('refuses home.arpa itself', () => {
    expect(judged('home.arpa')).toBe('internal_name');
    expect(judged('in-addr.arpa')).toBeNull();
  });

  it.each([
    'metadata.google.internal',
    'metadata.goog',
    'metadata.azure.internal',
    'metadata.tencentyun.com',
    'instance-data.ec2.internal',
  ])('refuses %s and what is under it, also where the operator opens it', (name) => {
    expect(judged(name, true)).toBe('metadata_name');
    expect(judged(`a.${name}`, true)).toBe('metadata_name');
    expect(judged(`x${name}`, true)).toBeNull();
  });
});
