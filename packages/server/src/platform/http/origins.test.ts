import { describe, expect, it } from 'vitest';
import { createHosts } from './hosts.js';
import { createOrigins } from './origins.js';

const config = {
  baseDomain: 'Knox.example',
  publicUrl: 'https://public.example:8443/',
  customHosts: [
    { host: 'calls.acme.example', slug: 'acme' },
    { host: 'test.acme.example', slug: 'sandbox-acme' },
  ],
};

describe('the public origin', () => {
  const hosts = createHosts(config);
  const origins = createOrigins(config, () => config.publicUrl);

  it.each([
    ['api.knox.example', 'https://api.knox.example:8443'],
    ['SANDBOX.knox.example:1', 'https://sandbox.knox.example:8443'],
    ['acme.knox.example', 'https://acme.knox.example:8443'],
    ['sandbox-acme.knox.example.', 'https://sandbox-acme.knox.example:8443'],
    ['Calls.acme.example', 'https://calls.acme.example:8443'],
    ['test.acme.example', 'https://test.acme.example:8443'],
    ['public.example', 'https://public.example:8443'],
    ['attacker.example', 'https://public.example:8443'],
    ['127.0.0.1:99', 'https://public.example:8443'],
  ])('of %s is %s', (host, origin) => {
    expect(origins.of(hosts.resolve(['Host', host], '1.1'))).toBe(origin);
  });

  it('leaves a default port out, and follows an address that is known late', () => {
    let url = 'http://127.0.0.1:8787';
    const late = createOrigins({ baseDomain: 'localhost' }, () => url);
    const plain = hosts.resolve(['Host', 'x'], '1.1');
    expect(late.of(plain)).toBe('http://127.0.0.1:8787');
    url = 'https://knox.example:443/';
    expect(late.of(plain)).toBe('https://knox.example');
  });
});
