import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

const PLAIN = Buffer.from(JSON.stringify({ card: '4111111111111111', text: 'x'.repeat(100) }));

/** RFC 8878: one frame of one raw block. Node 20 has no zstd to write it with. */
function zstdFrame(content: Buffer): Buffer {
  const blockHeader = Buffer.alloc(3);
  blockHeader.writeUIntLE((content.length << 3) | 1, 0, 3);
  return Buffer.concat([
    Buffer.from('28b52ffd20', 'hex'),
    Buffer.from([content.length]),
    blockHeader,
    content,
  ]);
}

const CODED: Record<string, Buffer> = {
  gzip: gzipSync(PLAIN),
  br: brotliCompressSync(PLAIN),
  zstd: zstdFrame(PLAIN),
  'gzip, br': brotliCompressSync(gzipSync(PLAIN)),
};

let server: WholeServer;
beforeAll(async () => {
  server = await startWholeServer();
});
afterAll(() => server.close());

async function call(headers: Record<string, string>): Promise<{ head: IncomingMessage; body: Buffer }> {
  const request = httpRequest({
    host: '127.0.0.1',
    port: server.port,
    agent: false,
    path: '/v1/proxy',
    headers: {
      authorization: `Bearer ${server.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${server.target}/`,
      'accept-encoding': 'zstd, br, gzip',
      ...headers,
    },
  }).end();
  const [head] = (await once(request, 'response')) as [IncomingMessage];
  return { head, body: await buffer(head) };
}

const MODES: readonly Record<string, string>[] = [{}, { 'x-knox-proxy-mode': 'transparent' }];
const CASES = Object.keys(CODED).flatMap((coding) =>
  [true, false].flatMap((hasLength) => MODES.map((mode) => [coding, hasLength, mode] as const)),
);

describe('a coded answer beside a rule for other types passes byte for byte', () => {
  beforeAll(async () => {
    const match = { type: 'builtin', value: 'pan' };
    const rule = { name: 'csv', target: 'response', match, action: 'mask', content_types: ['text/csv'] };
    expect((await server.api('POST', '/v1/redaction-rules', rule)).status).toBe(201);
  });

  it.each(CASES)('%s, length %s, %j', async (coding, hasLength, mode) => {
    const bytes = CODED[coding]!;
    const told = {
      'content-type': 'application/json',
      'content-encoding': coding,
      etag: '"abc"',
      digest: 'sha-256=x',
      'content-md5': 'y',
      vary: 'Accept-Encoding',
    };
    server.answer = (_request, response) => {
      response.writeHead(200, hasLength ? { ...told, 'content-length': bytes.length } : told);
      response.write(bytes.subarray(0, 20));
      response.end(bytes.subarray(20));
    };
    const { head, body } = await call(mode);
    expect(body.equals(bytes)).toBe(true);
    expect(head.headers).toMatchObject(told);
    expect(head.headers['content-length']).toBe(hasLength ? String(bytes.length) : undefined);
    expect(head.headers['x-knox-destination-status']).toBe('200');
  });
});
