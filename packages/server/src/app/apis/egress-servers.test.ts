import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startSocksServer, type TestProxy } from '../../testing/egress-servers.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

const LOGIN = { username: 'user', password: 'the password' };
const SERVERS = '/v1/egress/servers';
let server: WholeServer;
let socks: TestProxy;
let id: string;

beforeAll(async () => {
  socks = await startSocksServer(LOGIN);
  server = await startWholeServer({
    environment: { KNOX_EGRESS_SOURCE_ADDRESSES: '127.0.0.2@default,127.0.0.3@other' },
  });
  const place = { kind: 'socks5', address: '127.0.0.1', port: socks.port };
  const { json } = await server.api('POST', SERVERS, { name: 'out', ...place, ...LOGIN });
  id = json.data.id;
  await server.api('PUT', '/v1/egress/default', { egress_server_id: id });
});
afterAll(() => Promise.all([server.close(), socks.close()]));

function call(): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      'x-knox-proxy-url': server.target,
      authorization: `Bearer ${server.bootstrap.live_api_key}`,
    };
    request(
      { port: server.port, host: '127.0.0.1', method: 'POST', path: '/v1/proxy', headers },
      (response) => {
        text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
      },
    )
      .on('error', reject)
      .end('hello');
  });
}

it('ephemeral calls leave by the default, which is told the judged address', async () => {
  expect(await call()).toEqual({ status: 200, body: 'hello' });
  expect(socks.asked).toEqual([`user 127.0.0.1:${server.upstream.port}`]);
});

it('a test tells of tunnel and TLS, and sends nothing', async () => {
  const before = server.upstream.requests.length;
  const { json } = await server.api('POST', `${SERVERS}/${id}/test`, { host: new URL(server.target).host });
  expect(json.data).toMatchObject({ success: true });
  expect(server.upstream.requests).toHaveLength(before);
});

it('a change holds for the next call: no connection of before serves it', async () => {
  await server.api('PATCH', `${SERVERS}/${id}`, { password: 'a wrong one' });
  const answer = await call();
  expect([answer.status, JSON.parse(answer.body).error.type]).toEqual([502, 'egress_unavailable']);
  await server.api('PATCH', `${SERVERS}/${id}`, { password: LOGIN.password });
  expect((await call()).status).toBe(200);
});

it('a tenant may leave from an address that the operator gave it, not from another one', async () => {
  const terms = { kind: 'source_address', name: 'own' };
  expect((await server.api('POST', SERVERS, { ...terms, address: '127.0.0.3' })).status).toBe(400);
  const own = await server.api('POST', SERVERS, { ...terms, address: '127.0.0.2' });
  await server.api('PUT', '/v1/egress/default', { egress_server_id: own.json.data.id });
  let peer: string | undefined;
  server.answer = (asked, response) => {
    peer = asked.socket.remoteAddress;
    response.end();
  };
  expect((await call()).status).toBe(200);
  expect(peer).toBe('127.0.0.2');
});
