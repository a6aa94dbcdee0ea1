import { existsSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, startNode, stop, until } from './processes.mjs';

const BIN = fileURLToPath(new URL('../packages/server/bin/knox-server.mjs', import.meta.url));
const PAN = '4111111111111111';

/** What `npm run up` and the unit give Node. */
const NODE_OPTIONS = ['--max-semi-space-size=32'];

/** The built server on the embedded default, allowed to reach the upstream on loopback. */
export async function startKnox({ dataDir, upstream, caFile, cpu, nodeArgs = [], env = {} }) {
  const port = await freePort();
  const startedAt = performance.now();
  const child = startNode([...NODE_OPTIONS, ...nodeArgs, BIN, 'start'], {
    cpu,
    logFile: join(dataDir, '..', 'server.log'),
    env: {
      KNOX_PORT: String(port),
      KNOX_DATA_DIR: dataDir,
      KNOX_DNS_SERVERS: `127.0.0.1:${upstream.dnsPort}`,
      KNOX_EXTRA_CA_FILE: caFile,
      KNOX_ALLOW_PRIVATE_UPSTREAMS: `127.0.0.0/8:${upstream.port}`,
      ...env,
    },
  });
  await firstAnswer(port, child);
  const readyMs = performance.now() - startedAt;
  // The first start answers a moment before its tenant is made. The file leaves after a day: not within a run.
  const bootstrapFile = join(dataDir, 'bootstrap.json');
  await until(() => existsSync(bootstrapFile), child);
  const { live_api_key: apiKey } = JSON.parse(readFileSync(bootstrapFile, 'utf8'));
  const call = (method, path, body, headers = {}) =>
    send(port, method, path, body, { authorization: `Bearer ${apiKey}`, ...headers });
  return { port, pid: child.pid, readyMs, apiKey, call, stop: () => stop(child) };
}

/** A card number in a vault; returns the expression that stands for it in a template. */
export async function tokenize(knox) {
  const vault = `bench-${Date.now()}`;
  expectStatus(201, await knox.call('POST', '/v1/vaults', { name: vault, token_format: 'pan' }));
  const made = expectStatus(201, await knox.call('POST', `/v1/vaults/${vault}/tokens`, { value: PAN }));
  return `{{ token: ${vault}.${made.data.token} }}`;
}

/** A route to the upstream under a rate limit of its own, which injects a secret where there is one; returns its slug. */
export async function makeRoute(knox, url, secret) {
  const slug = `bench-${secret === null ? 'plain' : 'secret'}-${Date.now()}`;
  const { data } = expectStatus(
    201,
    await knox.call('POST', '/v1/routes', { name: slug, slug, target_base_url: url }),
  );
  const settings = {
    rate_limit_enabled: true,
    rate_limit_requests: 1_000_000_000,
    rate_limit_window_sec: 60,
  };
  if (secret !== null) {
    expectStatus(201, await knox.call('POST', '/v1/secrets', { name: slug, value: secret }));
    settings.inject_headers_json = { Authorization: `Bearer {{secret:${slug}}}` };
  }
  expectStatus(200, await knox.call('PATCH', `/v1/routes/${data.id}`, settings));
  const answer = await knox.call('POST', `/proxy/${slug}/echo`, { secret: secret ?? 'none' });
  const echoed = expectStatus(200, answer);
  if (secret !== null && echoed.secret !== '[SECRET]')
    throw new Error(`the upstream received ${JSON.stringify(echoed)}`);
  return slug;
}

/** Fails unless a call through the server reaches the upstream, and with the value in place of the token. */
export async function checkEphemeral(knox, url, expression) {
  const headers = { 'x-knox-proxy-url': `${url}/echo`, 'content-type': 'application/json' };
  const answer = await knox.call('POST', '/v1/proxy', { card: expression }, headers);
  const echoed = expectStatus(200, answer);
  // The echo guard counts the value where the upstream has received it, and puts its token back.
  if (answer.headers['x-knox-echo-guarded'] !== '1')
    throw new Error(`the upstream received ${JSON.stringify(echoed)}`);
}

function expectStatus(status, answer) {
  if (answer.status !== status) throw new Error(`expected ${status}, got ${answer.status}: ${answer.text}`);
  return JSON.parse(answer.text);
}

function send(port, method, path, body, headers) {
  const payload = body === undefined ? null : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port, host: '127.0.0.1', method, path, agent: false, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
      },
    );
    request.on('error', reject);
    if (payload !== null) request.setHeader('content-type', 'application/json');
    request.end(payload);
  });
}

function firstAnswer(port, child) {
  return until(async () => {
    const answer = await send(port, 'GET', '/readyz', undefined, {}).catch(() => null);
    return answer?.status === 200;
  }, child);
}
