import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCidr } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { callInProcess } from '../../testing/calls.js';
import { openInstallation, type TestInstallation } from '../../testing/installation.js';

/** All callers come through one proxy: what counts by address must count by theirs (clients-pki.md §1.4). */
const PROXY = '10.0.0.1';

let world: TestInstallation;
beforeAll(async () => {
  const proxies = [parseCidr('10.0.0.0/8')!];
  world = await openInstallation({ trustedPeers: { proxies, certificateHeader: null } });
});
afterAll(() => world.close());

const from = (address: string, headers: Record<string, string> = {}) => ({
  ip: PROXY,
  headers: { 'x-forwarded-for': `198.51.100.1, ${address}`, ...headers },
});
const login = (password: string, address: string, headers = {}) =>
  world.call('POST', '/admin/auth/login', {
    ...from(address, headers),
    body: { email: world.owner.email, password },
  });

describe('behind a trusted proxy', () => {
  it('wrong passwords lock the address that they come from, and audit rows name it', async () => {
    for (let i = 0; i < 5; i++) expect((await login('wrong horse', '203.0.113.1')).status).toBe(401);
    expect((await login('wrong horse', '203.0.113.1')).status).toBe(429);
    expect((await login('wrong horse', '203.0.113.2')).status).toBe(401);
    await world.services.auth.flush();
    const { json } = await world.call('GET', '/admin/audit-logs?per_page=100', {});
    const rows = json.data.filter(({ action }: { action: string }) => action === 'auth.login_failed');
    // All of one moment, which the clock of the test gives them.
    const addresses: string[] = rows.map(({ ip_address }: { ip_address: string }) => ip_address);
    expect(addresses.sort()).toEqual([...Array(5).fill('203.0.113.1'), '203.0.113.2']);
  });

  it('devices that wait count by the network that they began in', async () => {
    const grants = { type: 'public', grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] };
    const made = await world.call('POST', '/v1/oauth-clients', { body: { name: 'device', ...grants } });
    expect(made.status).toBe(201);
    const begin = (address: string) =>
      callInProcess(world.app, 'POST', '/oauth/device_authorization', {
        ip: PROXY,
        payload: `client_id=${made.json.data.client_id}`,
        headers: { 'x-forwarded-for': address, 'content-type': 'application/x-www-form-urlencoded' },
      });
    for (let i = 0; i < LIMITS.devicesWaitingMax; i++) expect((await begin('203.0.113.3')).status).toBe(200);
    expect((await begin('203.0.113.3')).status).toBe(429);
    expect((await begin('203.0.113.4')).status).toBe(200);
  });

  it('cookies are Secure where the proxy says https', async () => {
    const { password } = world.owner;
    for (const [proto, isSecure] of [
      ['https', true],
      ['http', false],
    ] as const) {
      const answer = await login(password, '203.0.113.5', { 'x-forwarded-proto': proto });
      expect(answer.status).toBe(200);
      const cookies = [answer.headers['set-cookie']].flat();
      expect(cookies.length).toBe(2);
      for (const cookie of cookies) expect(String(cookie).includes('Secure')).toBe(isSecure);
    }
  });
});

describe('from elsewhere', () => {
  it('the header changes nothing', async () => {
    const address = '203.0.113.6';
    const wrong = (forwardedFor: string) =>
      world.call('POST', '/admin/auth/login', {
        ip: address,
        headers: { 'x-forwarded-for': forwardedFor },
        body: { email: 'nobody@localhost', password: 'wrong horse' },
      });
    for (let i = 0; i < 5; i++) expect((await wrong(`203.0.113.${10 + i}`)).status).toBe(401);
    expect((await wrong('203.0.113.20')).status).toBe(429);
  });
});
