import { describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import { createHosts, isTenantSlug } from './hosts.js';

const hosts = createHosts({
  baseDomain: 'knox.example',
  publicUrl: 'https://vault.knox.example:8443',
  customHosts: [
    { host: 'api.acme.example', slug: 'acme' },
    { host: 'test.acme.example', slug: 'sandbox-acme' },
  ],
});

const resolve = (host: string) => hosts.resolve(['Host', host], '1.1');

describe('hosts', () => {
  it.each([
    ['api.knox.example', 'management', 'live', null],
    ['API.Knox.Example:8787', 'management', 'live', null],
    ['api.knox.example.', 'management', 'live', null],
    ['sandbox.knox.example', 'management', 'test', null],
    ['acme.knox.example', 'tenant', 'live', 'acme'],
    ['sandbox-acme.knox.example', 'tenant', 'test', 'acme'],
    ['sandbox-api.knox.example', 'tenant', 'test', 'api'],
    ['api.acme.example', 'tenant', 'live', 'acme'],
    ['test.acme.example:443', 'tenant', 'test', 'acme'],
  ])('%s is %s %s %s', (host, kind, mode, tenantSlug) => {
    expect(resolve(host)).toMatchObject({ kind, mode, tenantSlug });
  });

  it.each([
    'knox.example',
    'vault.knox.example',
    'www.knox.example',
    'admin.knox.example',
    'api-staging.knox.example',
    'a.b.knox.example',
    'apiknox.example',
    'api.knox.example.evil.example',
    '127.0.0.1:8787',
    '[::1]:8787',
    'localhost',
    '',
  ])('%s is a plain address', (host) => {
    expect(resolve(host)).toEqual({ kind: 'plain', mode: null, tenantSlug: null });
  });

  it.each(['hooks.knox.example', 'wrap.knox.example'])('%s serves nothing yet', (host) => {
    expect(() => resolve(host)).toThrow(/not found/);
  });

  it.each([
    ['two Host headers', ['Host', 'a', 'hOsT', 'b'], '1.1'],
    ['two equal Host headers', ['Host', 'a', 'Host', 'a'], '1.1'],
    ['none in HTTP/1.1', ['Accept', 'x'], '1.1'],
    ['an endless one', ['Host', 'a'.repeat(300)], '1.1'],
  ])('refuses %s', (_, rawHeaders, version) => {
    let refusal: unknown;
    try {
      hosts.resolve(rawHeaders, version);
    } catch (error) {
      refusal = error;
    }
    expect(isAppError(refusal, 'validation_error')).toBe(true);
  });

  it('takes HTTP/1.0 without Host as a plain address', () => {
    expect(hosts.resolve([], '1.0').kind).toBe('plain');
  });
});

describe('isTenantSlug', () => {
  it.each(['acme', 'a', 'a-b', '0'])('takes %s', (slug) => expect(isTenantSlug(slug)).toBe(true));
  it.each(['', '-a', 'a-', 'A', 'a_b', 'a.b', 'api', 'sandbox', 'sandbox-x', 'www', 'hooks', 'a'.repeat(64)])(
    'refuses %s',
    (slug) => expect(isTenantSlug(slug)).toBe(false),
  );
});
