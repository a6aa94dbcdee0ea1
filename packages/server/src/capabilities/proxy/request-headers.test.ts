import { describe, expect, it } from 'vitest';
import { RequestHeaders } from './request-headers.js';

describe('x-api-key beside our own Authorization (case P06)', () => {
  const forwardOf = (apiKey: string) =>
    new RequestHeaders(['Authorization', 'Bearer tk_live_a_b', 'X-Api-Key', apiKey]).forward;

  it('goes to the upstream when it is the upstream’s', () => {
    expect(forwardOf('sk_upstream')).toEqual(['x-api-key', 'sk_upstream']);
  });

  it.each(['tk_live_a_b', 'kc_test_x', 'AKEabc_d', 'sk_upstream, tk_live_a_b', 'sk_upstream,AKEabc_d'])(
    'stays here when a key of ours stands in it: %s',
    (apiKey) => {
      expect(forwardOf(apiKey)).toEqual([]);
    },
  );
});
