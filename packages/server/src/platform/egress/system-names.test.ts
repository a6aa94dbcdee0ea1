import { describe, expect, it } from 'vitest';
import { formatIpAddress } from '../../kernel/ip-address.js';
import { type DnsAnswers, startDnsServer } from '../../testing/dns-server.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createResolver } from './resolver.js';
import { createSystemNames } from './system-names.js';

interface Files {
  readonly hosts?: string;
  readonly conf?: string;
}

/** What the name leads to, or why not, and which names were asked of the DNS in order. */
async function resolve(
  name: string,
  { hosts = '', conf = '' }: Files,
  records: Record<string, DnsAnswers | readonly string[]> = {},
) {
  const dns = await startDnsServer({ records });
  try {
    const names = createSystemNames({
      resolver: createResolver({ clock: createManualClock(), servers: [dns] }),
      read: async (path) => (path === '/etc/hosts' ? hosts : conf),
    });
    const resolution = await names.resolve(name);
    return {
      answer: resolution.kind === 'found' ? resolution.addresses.map(formatIpAddress) : resolution.reason,
      asked: dns.queries.filter(({ type }) => type === 'A').map((query) => query.name),
    };
  } finally {
    await dns.close();
  }
}

describe('names of this machine', () => {
  it('are those of /etc/hosts first, all addresses of all lines, and no DNS server hears of them', async () => {
    const hosts =
      '# db of 10.9.9.9\n10.0.0.5\tdb DB.Example.com # note\nfe80::1%lo0 db\nfd00::5 x db\n10.0.0.6 dbx\n';
    expect(await resolve('db', { hosts }, { db: ['8.8.8.8'] })).toEqual({
      answer: ['10.0.0.5', 'fd00::5'],
      asked: [],
    });
    expect((await resolve('db.example.com', { hosts })).answer).toEqual(['10.0.0.5']);
  });

  it('have localhost even where the file has not', async () => {
    for (const name of ['localhost', 'db.localhost'])
      expect(await resolve(name, {})).toEqual({ answer: ['127.0.0.1', '::1'], asked: [] });
    expect((await resolve('localhost', { hosts: '127.0.0.1 localhost' })).answer).toEqual(['127.0.0.1']);
  });

  it('of one label are asked below the search list, then as they stand', async () => {
    const conf = 'nameserver 127.0.0.11\nsearch a.example.com b.example.com.\n';
    expect(await resolve('db', { conf }, { 'db.b.example.com': ['10.0.0.7'] })).toEqual({
      answer: ['10.0.0.7'],
      asked: ['db.a.example.com', 'db.b.example.com'],
    });
    expect(await resolve('db', { conf }, { db: ['10.0.0.8'] })).toEqual({
      answer: ['10.0.0.8'],
      asked: ['db.a.example.com', 'db.b.example.com', 'db'],
    });
  });

  it('with dots are asked as they stand first, unless ndots says otherwise', async () => {
    const records = { 'db.prod': ['10.0.0.1'], 'db.prod.svc.cluster.local': ['10.0.0.2'] };
    const search = 'search svc.cluster.local';
    expect((await resolve('db.prod', { conf: search }, records)).asked).toEqual(['db.prod']);
    expect(await resolve('db.prod', { conf: `${search}\noptions timeout:1 ndots:5` }, records)).toEqual({
      answer: ['10.0.0.2'],
      asked: ['db.prod.svc.cluster.local'],
    });
  });

  it('are asked below at most six domains, and never by a name that is none', async () => {
    const conf = `search ${[1, 2, 3, 4, 5, 6, 7].map((n) => `d${n}.example.com`).join(' ')}`;
    expect((await resolve('db', { conf })).asked).toHaveLength(7);
    expect((await resolve('db', { conf: 'search bad..domain' })).asked).toEqual(['db']);
  });

  it('that nobody knows are told from those whose servers fail', async () => {
    const conf = 'search a.example.com';
    expect((await resolve('db', { conf })).answer).toBe('no_such_name');
    expect((await resolve('db', { conf }, { 'db.a.example.com': { rcode: 'SERVFAIL' } })).answer).toBe(
      'servers_failed',
    );
  });
});
