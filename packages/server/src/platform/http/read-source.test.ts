import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { parseCidr } from '../../kernel/ip-address.js';
import { createLogger } from '../log/logger.js';
import { NO_TRUSTED_PEERS, type TrustedPeers } from './read-source.js';
import { closeHttpServer, createHttpServer } from './server.js';

const open: FastifyInstance[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await closeHttpServer(app, systemClock, 1_000);
});

const ranges = (...texts: string[]) => texts.map((range) => parseCidr(range)!);
const PROXIES = ranges('10.0.0.0/8', '192.0.2.1', '2001:db8:1::/48');

/** Tells of each request where it comes from. */
function server(trustedPeers: TrustedPeers = { ...NO_TRUSTED_PEERS, proxies: PROXIES }) {
  const lines: string[] = [];
  const app = createHttpServer({
    logger: createLogger('info', { write: (line) => lines.push(line) }),
    requestLog: () => {},
    ids: { uuid: () => crypto.randomUUID() },
    clock: systemClock,
    trustedPeers,
  });
  app.get('/', async ({ source }) => ({ address: source.address, isSecure: source.isSecure }));
  app.get('/certificate', async ({ source }) => ({ certificate: source.certificate }));
  open.push(app);
  return { app, lines };
}

async function addressOf(remoteAddress: string, forwardedFor?: string, trusted?: TrustedPeers) {
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor };
  const answer = await server(trusted).app.inject({ url: '/', remoteAddress, headers });
  return answer.json().address;
}

describe('the address is', () => {
  it.each([
    ['the peer', '203.0.113.9', undefined, '203.0.113.9'],
    ['the peer, whatever a stranger says', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['a trusted peer that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['a trusted peer that says the empty text', '10.0.0.1', '', '10.0.0.1'],
    ['the first from the right that is no proxy', '10.0.0.1', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
    ['behind two hops', '10.0.0.1', '203.0.113.9, 192.0.2.1', '203.0.113.9'],
    [
      'behind two hops, not what the caller wrote',
      '10.0.0.1',
      '10.9.9.9, 203.0.113.9,10.2.2.2',
      '203.0.113.9',
    ],
    ['the farthest proxy where all are', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['folded of a mapped peer', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['folded of a mapped hop', '10.0.0.1', '203.0.113.9, ::ffff:10.0.0.2', '203.0.113.9'],
    ['folded itself', '10.0.0.1', '::FFFF:203.0.113.9', '203.0.113.9'],
    ['canonical', '2001:db8:1::1', '2001:DB8:0:0::0001', '2001:db8::1'],
    ['without a port', '10.0.0.1', '203.0.113.9:4711', '203.0.113.9'],
    ['without brackets and port', '10.0.0.1', '[2001:db8::7]:443', '2001:db8::7'],
    ['without brackets', '10.0.0.1', '[2001:db8::7]', '2001:db8::7'],
    ['whatever a hop before the caller’s wrote', '10.0.0.1', 'nonsense, 203.0.113.9', '203.0.113.9'],
  ])('%s', async (_, peer, forwardedFor, address) => {
    expect(await addressOf(peer, forwardedFor)).toBe(address);
  });

  it.each([
    'unknown',
    'unix:',
    '203.0.113.9,',
    ' , 10.0.0.2',
    'fe80::1%eth0',
    '203.0.113.009',
    '203.0.113.9/32',
    '203.0.113.9:port',
    '[203.0.113.9',
    'localhost',
  ])('unknown where a trusted proxy says %o', async (forwardedFor) => {
    expect(await addressOf('10.0.0.1', forwardedFor)).toBe('');
  });

  it('that of the peer where nobody is trusted', async () => {
    expect(await addressOf('10.0.0.1', '203.0.113.9', NO_TRUSTED_PEERS)).toBe('10.0.0.1');
  });

  it('read over all lines, the last of them nearest', async () => {
    const { app } = server({ ...NO_TRUSTED_PEERS, proxies: ranges('127.0.0.1', '10.0.0.0/8') });
    const answer = await send(app, '/', [
      'X-Forwarded-For: 1.1.1.1, 203.0.113.9',
      'x-forwarded-for: 10.0.0.2',
    ]);
    expect(answer.json.address).toBe('203.0.113.9');
  });

  it.each([
    ['10.0.0.1', 'https', true],
    ['10.0.0.1', 'HTTPS', true],
    ['10.0.0.1', 'http', false],
    ['10.0.0.1', 'https, http', false],
    ['203.0.113.9', 'https', false],
  ])('of %s, which says %s, under TLS: %s', async (remoteAddress, proto, isSecure) => {
    const headers = { 'x-forwarded-proto': proto };
    const answer = await server().app.inject({ url: '/', remoteAddress, headers });
    expect(answer.json().isSecure).toBe(isSecure);
  });
});

const DIGEST = 'ab'.repeat(32);
const trusting = (peers = ranges('127.0.0.1/32')): TrustedPeers => ({
  proxies: [],
  certificateHeader: { name: 'x-cert', format: 'sha256-hex', peers },
});

/** Lines as they are, which a client of Node would fold. */
async function send(app: FastifyInstance, path: string, headers: readonly string[]) {
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.end([`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n'));
  const answer = await text(socket);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), json: JSON.parse(body) };
}

describe('the certificate of a header', () => {
  it('of a trusted peer counts', async () => {
    const { status, json } = await send(server(trusting()).app, '/certificate', [`X-Cert: ${DIGEST}`]);
    expect([status, json]).toEqual([
      200,
      { certificate: { sha256Thumbprint: DIGEST, notBeforeMs: null, notAfterMs: null } },
    ]);
  });

  it.each([['absent'], ['empty', 'X-Cert:']])('is none where it is %s', async (_, ...lines) => {
    expect((await send(server(trusting()).app, '/certificate', lines)).json).toEqual({ certificate: null });
  });

  it.each([
    ['that comes twice', [`X-Cert: ${DIGEST}`, `x-cert: ${DIGEST}`], 'x-cert: must come once'],
    ['that comes twice, once empty', ['X-Cert:', `x-cert: ${DIGEST}`], 'x-cert: must come once'],
    [
      'of another format',
      [`X-Cert: :${Buffer.from(DIGEST).toString('base64')}:`],
      'x-cert: must be the SHA-256',
    ],
  ])('of a trusted peer %s is refused by name', async (_, lines, message) => {
    const { status, json } = await send(server(trusting()).app, '/certificate', lines);
    expect([status, json.error.type]).toEqual([400, 'validation_error']);
    expect(json.error.message).toContain(message);
    // The request id is random, and these digits may stand in it.
    const { request_id: _id, ...error } = json.error;
    expect(JSON.stringify({ ...json, error })).not.toContain('abab');
  });

  it.each([
    ['203.0.113.9', ranges('10.0.0.0/8')],
    ['::ffff:203.0.113.9', ranges('10.0.0.0/8')],
    ['10.0.0.1', ranges('2001:db8::/32')],
    // Whom a proxy names as the caller is not who sent the header.
    ['203.0.113.9', ranges('10.0.0.0/8'), { 'x-forwarded-for': '10.0.0.1' }],
  ])(
    'of %s, which may not send it, counts for nothing, and is noted',
    async (remoteAddress, peers, more: Record<string, string> = {}) => {
      const { app, lines } = server({ ...trusting(peers), proxies: ranges('203.0.113.0/24') });
      const headers = { 'x-cert': DIGEST, ...more };
      const answer = await app.inject({ url: '/certificate', remoteAddress, headers });
      expect([answer.statusCode, answer.json()]).toEqual([200, { certificate: null }]);
      const peer = remoteAddress.replace('::ffff:', '');
      expect(lines.map((line) => JSON.parse(line))).toEqual([
        expect.objectContaining({ peer, header: 'x-cert', msg: expect.stringContaining('ignored') }),
      ]);
    },
  );

  it('of a mapped peer that may send it counts', async () => {
    const { app } = server(trusting(ranges('10.0.0.0/8')));
    const headers = { 'x-cert': DIGEST };
    const answer = await app.inject({ url: '/certificate', remoteAddress: '::ffff:10.0.0.1', headers });
    expect(answer.json().certificate.sha256Thumbprint).toBe(DIGEST);
  });

  it('is not looked at by who does not ask', async () => {
    const { status } = await send(server(trusting()).app, '/', ['X-Cert: nonsense']);
    expect(status).toBe(200);
  });
});
