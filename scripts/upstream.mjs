// An HTTPS upstream to call through the server, on this machine alone: `npm run upstream`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installEverything } from './install.mjs';
import { bold, dim, endWith, requireNode } from './terminal.mjs';

const HOST = 'api.payments.example';

requireNode();
try {
  await installEverything();
} catch (error) {
  endWith(error);
}
// Upstream, name server and certificate authority are those of the tests, in TypeScript.
const { register } = await import('tsx/esm/api');
register();
const { startDnsServer } = await import('../packages/server/src/testing/dns-server.ts');
const { createTestCa, startTlsUpstream } = await import('../packages/server/src/testing/tls-upstream.ts');

const dir = mkdtempSync(join(tmpdir(), 'knox-upstream-'));
const caFile = join(dir, 'ca.pem');
const ca = await createTestCa('Upstream CA');
writeFileSync(caFile, ca.caPem);
const dns = await startDnsServer({ records: { [HOST]: ['127.0.0.1'] } });
const upstream = await startTlsUpstream({ ca, names: [HOST], handler: tellWhatCame });
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit());

console.log(`
${bold('An upstream waits at')} https://${HOST}:${upstream.port}
${dim('It answers with what it got, and writes it here; Ctrl-C ends it. Start the server in another terminal (Ctrl-C the running one first;')}
${dim('keep your variables) with')}

KNOX_DNS_SERVERS=127.0.0.1:${dns.port} KNOX_EXTRA_CA_FILE=${caFile} KNOX_ALLOW_PRIVATE_UPSTREAMS=127.0.0.1 npm run up

${dim('and set where you call from')}

UPSTREAM=https://${HOST}:${upstream.port}

${dim('A server started so finds no other name: for other upstreams start it without that line.')}
`);

function tellWhatCame(request, response) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url: path, headers } = request;
    const came = {
      method,
      path,
      authorization: headers.authorization,
      body: Buffer.concat(chunks).toString(),
    };
    console.log(JSON.stringify(came));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(came));
  });
}
