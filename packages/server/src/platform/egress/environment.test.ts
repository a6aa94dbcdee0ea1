import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestCa, startTlsUpstream, type TestCa, type TlsUpstream } from '../../testing/tls-upstream.js';

const run = promisify(execFile);
const guarded = new URL('./guarded-fetch.ts', import.meta.url).href;
const rig = new URL('../../testing/egress-rig.ts', import.meta.url).href;
const dir = mkdtempSync(join(tmpdir(), 'egress-environment-'));
let ca: TestCa;
let upstream: TlsUpstream;
let proxy: TlsUpstream;

beforeAll(async () => {
  ca = await createTestCa();
  upstream = await startTlsUpstream({ ca, names: ['api.example.com'] });
  proxy = await startTlsUpstream({ ca, names: ['proxy.example.com'] });
  writeFileSync(join(dir, 'ca.pem'), ca.caPem);
});
afterAll(async () => {
  await Promise.all([upstream.close(), proxy.close()]);
  rmSync(dir, { recursive: true });
});

/** One call through the guard in a process with this environment: its status, or the type of its error. */
async function callIn(environment: Record<string, string>, extraCaPem: string | null): Promise<string> {
  const script = join(dir, 'call.mts');
  writeFileSync(
    script,
    `import { startEgressRig } from ${JSON.stringify(rig)};
     import ${JSON.stringify(guarded)};
     const rig = await startEgressRig({
       allowPrivateUpstreams: '127.0.0.0/8',
       extraCaPem: ${JSON.stringify(extraCaPem)},
       records: { 'api.example.com': ['127.0.0.1'] },
     });
     const outcome = await rig.send('https://api.example.com:${upstream.port}/').then(
       ({ status }) => String(status),
       (error) => error.type ?? String(error),
     );
     process.stdout.write(outcome);
     await rig.close();`,
  );
  const { stdout } = await run(process.execPath, ['--import', 'tsx', script], {
    cwd: process.cwd(),
    env: environment,
  });
  return stdout;
}

it.each([
  ['NODE_TLS_REJECT_UNAUTHORIZED=0', () => ({ NODE_TLS_REJECT_UNAUTHORIZED: '0' })],
  ['NODE_EXTRA_CA_CERTS', () => ({ NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') })],
  [
    'SSL_CERT_FILE and --use-openssl-ca',
    () => ({ SSL_CERT_FILE: join(dir, 'ca.pem'), NODE_OPTIONS: '--use-openssl-ca' }),
  ],
])('S111 %s lets no unknown authority in', async (_what, environment) => {
  expect(await callIn(environment(), null)).toBe('upstream_tls_error');
  expect(upstream.requests).toEqual([]);
});

it('proxy variables change nothing', async () => {
  const url = `http://127.0.0.1:${proxy.port}`;
  const environment = {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    ALL_PROXY: url,
    http_proxy: url,
    https_proxy: url,
    NODE_USE_ENV_PROXY: '1',
  };
  expect(await callIn(environment, ca.caPem)).toBe('200');
  expect([upstream.requests.length, proxy.connectionCount()]).toEqual([1, 0]);
});
