// What both sides call: a DNS server and an HTTPS upstream on loopback, as light as they can be.
import { writeFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { startDnsServer } from '../packages/server/src/testing/dns-server.js';
import { createTestCa, startTlsUpstream } from '../packages/server/src/testing/tls-upstream.js';

const caFile = process.argv[2] ?? '';
const NAME = 'upstream.example.com';
const BODY = JSON.stringify({ status: 'ok', filler: 'x'.repeat(1000) });

const ca = await createTestCa();
writeFileSync(caFile, ca.caPem);
const dns = await startDnsServer({ records: { [NAME]: ['127.0.0.1'] } });
const upstream = await startTlsUpstream({ ca, names: [NAME], onSocket: serve });
console.log(JSON.stringify({ name: NAME, port: upstream.port, dnsPort: dns.port }));

function answer(body: string): string {
  const length = Buffer.byteLength(body);
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

const ANSWER = answer(BODY);

/** One request after the other on each connection; `/echo` gives the body back. */
function serve(socket: TLSSocket): void {
  let pending = '';
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    pending += chunk.toString('latin1');
    for (let end = requestEnd(pending); end !== -1; end = requestEnd(pending)) {
      const isEcho = pending.slice(0, 100).includes(' /echo');
      socket.write(isEcho ? answer(pending.slice(pending.indexOf('\r\n\r\n') + 4, end)) : ANSWER);
      pending = pending.slice(end);
    }
  });
}

function requestEnd(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return -1;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1];
  if (length !== undefined) {
    const end = headEnd + 4 + Number(length);
    return text.length >= end ? end : -1;
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(text.slice(0, headEnd))) return headEnd + 4;
  const last = text.indexOf('0\r\n\r\n', headEnd + 4);
  return last === -1 ? -1 : last + 5;
}
