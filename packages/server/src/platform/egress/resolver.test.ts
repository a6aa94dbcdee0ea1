import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import * as dnsPacket from 'dns-packet';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatIpAddress } from '../../kernel/ip-address.js';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { turns, until } from '../../testing/egress-rig.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createResolver, type Resolution } from './resolver.js';

let clock: ManualClock;
let dns: TestDnsServer;

beforeEach(async () => {
  clock = createManualClock();
  dns = await startDnsServer();
});
afterEach(() => dns.close());

const textOf = (resolution: Resolution) =>
  resolution.kind === 'found' ? resolution.addresses.map(formatIpAddress) : resolution.reason;
const resolve = async (name: string, servers: readonly { address: string; port: number }[] = [dns]) =>
  textOf(await createResolver({ clock, servers }).resolve(name));

it('asks A and AAAA and gives both, with the least TTL', async () => {
  dns.set('x.example.com', { a: ['1.1.1.1', '1.0.0.1'], aaaa: ['2606:4700::1'], ttl: 33 });
  const resolution = await createResolver({ clock, servers: [dns] }).resolve('x.example.com');
  expect(resolution).toMatchObject({ kind: 'found', ttlMs: 33_000 });
  expect(textOf(resolution)).toEqual(['1.1.1.1', '1.0.0.1', '2606:4700::1']);
});

it.each([
  [{ rcode: 'NXDOMAIN' }, 'no_such_name'],
  [{ rcode: 'SERVFAIL' }, 'servers_failed'],
  [{ rcode: 'REFUSED' }, 'servers_failed'],
  [{}, 'no_address'],
  [{ a: ['1.1.1.1'] }, ['1.1.1.1']],
  [{ aaaa: ['2606:4700::1'] }, ['2606:4700::1']],
] as const)('%j is %j', async (answers, expected) => {
  dns.set('x.example.com', answers);
  expect(await resolve('x.example.com')).toEqual(expected);
});

it('goes to TCP for an answer too long for UDP', async () => {
  const addresses = Array.from({ length: 150 }, (_, i) => `8.8.8.${i}`);
  dns.set('big.example.com', addresses);
  expect(await resolve('big.example.com')).toEqual(addresses);
  expect(dns.queries.filter(({ transport }) => transport === 'tcp')).toEqual([
    { name: 'big.example.com', type: 'A', transport: 'tcp' },
  ]);
});

it('asks the next server when one fails or is silent', async () => {
  const other = await startDnsServer({
    records: { 'x.example.com': ['1.1.1.1'], 'y.example.com': ['2.2.2.2'] },
  });
  dns.set('x.example.com', { rcode: 'SERVFAIL' });
  dns.set('y.example.com', { silent: true });
  expect(await resolve('x.example.com', [dns, other])).toEqual(['1.1.1.1']);
  const slow = resolve('y.example.com', [dns, other]);
  await until(() => dns.queries.filter(({ name }) => name === 'y.example.com').length === 2);
  clock.advance(2_000);
  expect(await slow).toEqual(['2.2.2.2']);
  await other.close();
});

it('does not wait for a server that is not there', async () => {
  const gone = await startDnsServer();
  await gone.close();
  dns.set('x.example.com', ['1.1.1.1']);
  expect(await resolve('x.example.com', [gone, dns])).toEqual(['1.1.1.1']);
  expect(await resolve('x.example.com', [gone])).toBe('servers_failed');
  expect(await resolve('x.example.com', [])).toBe('servers_failed');
});

// Refused by the system at once, as any address is without a network: a broadcast, a link without its interface.
it.each(['255.255.255.255', 'fe80::1'])(
  'goes on where there is no way to the server: %s',
  async (address) => {
    const unreachable = { address, port: 53 };
    dns.set('x.example.com', ['1.1.1.1']);
    expect(await resolve('x.example.com', [unreachable, dns])).toEqual(['1.1.1.1']);
    expect(await resolve('x.example.com', [unreachable])).toBe('servers_failed');
  },
);

it('one family is enough when the other is silent', async () => {
  dns.set('x.example.com', { a: ['1.1.1.1'], silent: ['AAAA'] });
  const call = resolve('x.example.com');
  for (const count of [1, 2]) {
    await until(() => dns.queries.filter(({ type }) => type === 'AAAA').length === count);
    await turns();
    clock.advance(2_000);
  }
  expect(await call).toEqual(['1.1.1.1']);
});

it('goes on waiting when a forged answer comes first', async () => {
  const server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  server.on('message', (message, peer) => {
    const { id = 0, questions = [] } = dnsPacket.decode(message);
    const answer = (forgedId: number, data: string) =>
      dnsPacket.encode({
        id: forgedId,
        type: 'response',
        questions,
        answers: questions[0]?.type === 'A' ? [{ name: 'x.example.com', type: 'A', ttl: 60, data }] : [],
      });
    const send = (packet: Buffer) => server.send(packet, peer.port, peer.address);
    send(answer((id + 1) & 0xffff, '10.0.0.1'));
    send(Buffer.from('garbage'));
    send(answer(id, '1.1.1.1'));
  });
  expect(await resolve('x.example.com', [{ address: '127.0.0.1', port: server.address().port }])).toEqual([
    '1.1.1.1',
  ]);
  server.close();
});

it('takes no answer from another port', async () => {
  const server = createSocket('udp4');
  const forger = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  let asked = 0;
  server.on('message', (message, peer) => {
    asked++;
    const { id = 0, questions = [] } = dnsPacket.decode(message);
    const answers = [{ name: 'x.example.com', type: 'A', ttl: 60, data: '10.0.0.1' }];
    forger.send(dnsPacket.encode({ id, type: 'response', questions, answers }), peer.port, peer.address);
  });
  const call = resolve('x.example.com', [{ address: '127.0.0.1', port: server.address().port }]);
  for (const count of [2, 4]) {
    await until(() => asked === count);
    await turns();
    clock.advance(2_000);
  }
  expect(await call).toBe('servers_failed');
  server.close();
  forger.close();
});
