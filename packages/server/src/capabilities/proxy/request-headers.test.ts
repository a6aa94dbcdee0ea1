import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readOptions } from './pipeline/options.js';
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

describe('the header of KNOX_CLIENT_CERT_HEADER', () => {
  it.each([
    ['X-Cert', 'a', 'x-cert', 'b'],
    ['X-Cert', 'a', 'Connection', 'keep-alive, x-hop', 'X-Hop', 'c'],
    ['X_Cert', 'a', 'x-cert', 'b', 'X_CERT', 'c'],
  ])('is not sent on, and others are: %j', (...head) => {
    expect(new RequestHeaders([...head, 'X-Cert-Other', 'd'], 'x-cert').forward).toEqual([
      'X-Cert-Other',
      'd',
    ]);
    expect(new RequestHeaders(['X-Cert', 'a']).forward).toEqual(['X-Cert', 'a']);
  });
});

it('sends on no header that is an underscore away from one that is stripped', () => {
  const names = [
    'Client_Cert',
    'X_Forwarded_For',
    'X_Forwarded-Client_Cert',
    'CloudFront_Viewer_Cert_Sha256',
    'X_Knox_Y',
  ];
  const forged = names.flatMap((name) => [name, 'x']);
  expect(new RequestHeaders([...forged, 'X_Own', 'y']).forward).toEqual(['X_Own', 'y']);
});

describe('X-Knox-Upstream-Authorization', () => {
  it.each(['a\rb', 'a\nb', 'a\0b'])('is refused where it would split the head: %j', (value) => {
    const head = ['X-Knox-Proxy-URL', 'https://a.example/', 'X-Knox-Upstream-Authorization', value];
    expect(() => readOptions(new RequestHeaders(head))).toThrow(
      expect.objectContaining({ type: 'validation_error' }),
    );
  });

  it('is not shown when the head is printed or written as JSON', () => {
    const headers = new RequestHeaders(['X-Knox-Upstream-Authorization', 'canary']);
    expect(JSON.stringify(headers) + inspect(headers, { depth: 5 })).not.toContain('canary');
  });
});
