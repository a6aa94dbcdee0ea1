import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDnsServer } from '../packages/server/src/testing/dns-server.ts';
import { createTestCa, startTlsUpstream } from '../packages/server/src/testing/tls-upstream.ts';
import { bold, cyan, dim, green, ROOT, red, yellow } from './terminal.mjs';

const HOST = 'api.payments.example';
const CARD = '4242424242424242';

let stepNumber = 0;
const title = (text) => console.log(`\n${bold(cyan(String(++stepNumber)))}  ${bold(text)}`);
const line = (label, text = '') => console.log(`   ${dim(label.padEnd(16))} ${text}`);
const expectThat = (isTrue, what) => {
  if (!isTrue) throw new Error(`not as it should be: ${what}`);
};

export async function tellStory() {
  const closers = [];
  try {
    console.log(bold('\nA card number lives in a vault; the caller only ever sends its token.'));
    const scene = await setTheScene(closers);
    const token = await storeTheCard(scene);
    await callThrough(scene, token);
    await streamThrough(scene);
    await tryToEscape(scene);
    await readTheRecords(scene, token);
    console.log(`\n${green('Done.')} Nothing of this left the machine; its data directory is removed.\n`);
  } catch (error) {
    console.error(`\n${red(error.stack)}`);
    process.exitCode = 1;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function setTheScene(closers) {
  title('A server, an upstream with TLS, a name server, a certificate authority');
  const dir = mkdtempSync(join(tmpdir(), 'knox-demo-'));
  closers.push(() => rmSync(dir, { recursive: true, force: true }));
  const received = [];
  const ca = await createTestCa('Demo CA');
  const handler = (request, response) => pay(received, request, response);
  const upstream = await startTlsUpstream({ ca, names: [HOST], handler });
  closers.push(() => upstream.close());
  const dns = await startDnsServer({
    records: {
      [HOST]: ['127.0.0.1'],
      'intranet.example': ['10.0.0.7'],
      'cloud.example': ['169.254.169.254'],
    },
  });
  closers.push(() => dns.close());
  const caFile = join(dir, 'ca.pem');
  writeFileSync(caFile, ca.caPem);
  const dataDir = join(dir, 'data');
  const url = await startServer(closers, {
    KNOX_PORT: '0',
    KNOX_DATA_DIR: dataDir,
    KNOX_EXTRA_CA_FILE: caFile,
    KNOX_DNS_SERVERS: `127.0.0.1:${dns.port}`,
    // The guard refuses loopback unless the operator opens it.
    KNOX_ALLOW_PRIVATE_UPSTREAMS: '127.0.0.1/32',
  });
  const bootstrap = JSON.parse(readFileSync(join(dataDir, 'bootstrap.json'), 'utf8'));
  const target = `https://${HOST}:${upstream.port}`;
  line('server', url);
  line('upstream', `${target}  ${dim('(resolves to 127.0.0.1)')}`);
  line('live key', `${bootstrap.live_api_key.slice(0, 20)}…`);
  return { url, target, port: upstream.port, key: bootstrap.live_api_key, received };
}

/** The payment provider: echoes the card, as some do, and tells of a payment in events. */
function pay(received, request, response) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    received.push({ path: request.url, headers: request.headers, body });
    if (request.url.startsWith('/events')) return tellEvents(response);
    const { card } = JSON.parse(body);
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ approved: true, receipt: 'r-1042', card: { number: card, brand: 'visa' } }),
    );
  });
}

function tellEvents(response) {
  response.setHeader('content-type', 'text/event-stream');
  const events = ['authorised', 'captured', 'settled'];
  const next = () => {
    response.write(`data: {"status":"${events.shift()}","card":{"number":"${CARD}"}}\n\n`);
    if (events.length > 0) setTimeout(next, 300);
    else response.end();
  };
  next();
}

async function startServer(closers, environment) {
  const command = join(ROOT, 'packages', 'server', 'bin', 'knox-server.mjs');
  const child = spawn(process.execPath, [command, 'start'], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  closers.push(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  let output = '';
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const url = /URL +(http:\S+)/.exec(output)?.[1];
      if (url && output.includes('Ctrl-C stops it.')) resolve(url);
    });
    void exited.then((code) => reject(new Error(`the server ended with ${code}\n${output}`)));
  });
}

async function api({ url, key }, method, path, body) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const json = await response.json();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status} ${JSON.stringify(json)}`);
  return json;
}

function proxied({ url, key }, target, body) {
  return fetch(`${url}/v1/proxy`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'x-knox-proxy-url': target,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function storeTheCard(scene) {
  title('The card goes into a vault, once');
  await api(scene, 'POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
  line('POST', '/v1/vaults  {"name":"cards","token_format":"pan"}');
  const { data } = await api(scene, 'POST', '/v1/vaults/cards/tokens', { value: CARD });
  line('POST', `/v1/vaults/cards/tokens  {"value":"${red(CARD)}"}`);
  line('token', `${green(data.token)}  ${dim('same length, same BIN and last four, passes Luhn')}`);
  expectThat(data.token !== CARD && data.token.endsWith('4242'), 'the token');
  return data.token;
}

async function callThrough(scene, token) {
  title('A proxied call: the token goes in, the number goes out, the answer comes back redacted');
  await api(scene, 'POST', '/v1/redaction-rules', {
    name: 'no card numbers',
    target: 'response',
    match: { type: 'json_path', value: '$.card.number' },
    action: 'mask',
  });
  line('rule', '$.card.number of every answer is masked');
  const sent = { amount: 4200, card: `{{ token: cards.${token} }}` };
  line('caller sends', JSON.stringify(sent).replace(token, green(token)));
  const response = await proxied(scene, `${scene.target}/pay`, sent);
  const answer = await response.text();
  const { body } = scene.received.at(-1);
  line('upstream got', body.replace(CARD, red(CARD)));
  line('caller gets', `${response.status} ${answer.replace('[REDACTED]', yellow('[REDACTED]'))}`);
  line('marked by', `X-Knox-Destination-Status: ${response.headers.get('x-knox-destination-status')}`);
  expectThat(JSON.parse(body).card === CARD, 'the upstream received the number');
  expectThat(!answer.includes(CARD) && response.status === 200, 'the answer is redacted');
}

async function streamThrough(scene) {
  title('Server-sent events arrive as they are written, each one redacted');
  const startedAt = Date.now();
  const response = await proxied(scene, `${scene.target}/events`);
  let text = '';
  for await (const chunk of response.body) {
    const event = Buffer.from(chunk).toString();
    text += event;
    line(
      `after ${String(Date.now() - startedAt).padStart(4)} ms`,
      event.trim().replace('[REDACTED]', yellow('[REDACTED]')),
    );
  }
  expectThat(text.split('data:').length === 4 && !text.includes(CARD), 'three redacted events');
}

async function tryToEscape(scene) {
  title('What the guard refuses, before a packet leaves');
  const targets = [
    ['https://169.254.169.254/latest/meta-data/', 'an address instead of a name'],
    ['https://cloud.example/latest/meta-data/', 'a name that resolves to cloud metadata'],
    ['https://intranet.example/', 'a name that resolves to a private address'],
    [
      `${scene.url.replace('http:', 'https:').replace('127.0.0.1', 'localhost')}/v1/vaults`,
      'this server itself',
    ],
    [`https://${HOST}:5432/`, 'a database port'],
    [`http://${HOST}:${scene.port}/`, 'plain HTTP'],
  ];
  for (const [target, what] of targets) {
    const response = await proxied(scene, target);
    const { error } = await response.json();
    line(`${response.status}`, `${yellow(error.type.padEnd(18))} ${target}  ${dim(what)}`);
    expectThat(
      response.status >= 400 && !response.headers.has('x-knox-destination-status'),
      `${what} is refused`,
    );
  }
}

async function readTheRecords(scene, token) {
  title('What stands in the records');
  const { data: logs } = await api(scene, 'GET', '/v1/logs?limit=100');
  console.log(dim('   request log (no host where the address was refused as it stood)'));
  for (const row of logs) {
    const target = row.upstream_host ?? '-';
    console.log(
      `     ${row.status_code}  ${row.method.padEnd(5)} ${target.padEnd(22)} ${String(row.latency_ms).padStart(5)} ms  ${row.error ?? ''}`.trimEnd(),
    );
  }
  const { data: audits } = await api(scene, 'GET', '/v1/audit-logs?per_page=100&order=asc');
  console.log(dim('\n   audit log'));
  for (const row of audits) console.log(`     ${row.action.padEnd(22)} ${row.resource_type ?? ''}`);
  const records = JSON.stringify({ logs, audits });
  expectThat(
    audits.some(({ action }) => action === 'vault.detokenize'),
    'the token read is audited',
  );
  expectThat(
    !records.includes(CARD) && !records.includes(scene.key),
    `no secret stands there (${token} may)`,
  );
}
