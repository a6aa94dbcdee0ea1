import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestCa, type TestCa } from '../../packages/server/src/testing/tls-upstream.js';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

afterAll(killAll);

interface Asked {
  readonly status: number;
  readonly json: ReturnType<typeof JSON.parse>;
  /** On a connection that an earlier call has opened. */
  readonly isReused: boolean;
}

describe('clients of a server with a TLS listener', () => {
  const dataDir = makeDataDir();
  const [certFile, keyFile] = ['cert.pem', 'key.pem'].map((name) => join(dirname(dataDir.path), name));
  let ca: TestCa;
  let server: ServerProcess;
  let bootstrap: Bootstrap;
  let tlsUrl: string;
  let clientId: string;

  beforeAll(async () => {
    ca = await createTestCa();
    const own = await ca.issue(['localhost']);
    writeFileSync(certFile!, own.certPem);
    writeFileSync(keyFile!, own.keyPem);
    server = await startServer({
      KNOX_DATA_DIR: dataDir.path,
      KNOX_TLS_CERT_FILE: certFile!,
      KNOX_TLS_KEY_FILE: keyFile!,
      KNOX_TLS_PORT: '0',
    });
    bootstrap = readBootstrap(dataDir.path);
    tlsUrl = /TLS +(https:\S+)/.exec(server.output().out)![1]!;
    clientId = (await call('POST', '/v1/clients', { name: 'till' })).id;
  });
  afterAll(async () => {
    await stopServer(server);
    dataDir.remove();
  });

  async function call(method: string, path: string, body: unknown) {
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${bootstrap.live_api_key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return ((await response.json()) as Asked['json']).data;
  }

  /** Which client the caller is, by TLS. */
  function match(agent: Agent): Promise<Asked> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${bootstrap.live_api_key}` };
      const asked = request(`${tlsUrl}/v1/clients/match`, { headers, agent });
      asked.on('error', reject).on('response', async (response) => {
        const json = JSON.parse(await text(response));
        resolve({ status: response.statusCode!, json, isReused: asked.reusedSocket });
      });
      asked.end();
    });
  }

  const agentWith = (identity: { cert: string; key: string } | null) =>
    new Agent({ ca: ca.caPem, servername: 'localhost', keepAlive: true, maxSockets: 1, ...identity });
  const credentials = () => `/v1/clients/${clientId}/credentials`;

  it('are known by a certificate that was issued, until it is deleted: on an open connection too', async () => {
    const body = { kind: 'mtls_thumbprint', data: { mode: 'issue' } };
    const { id, data, reveal } = await call('POST', credentials(), body);
    const agent = agentWith({ cert: reveal.certificate_pem, key: reveal.private_key_pem });
    expect((await match(agent)).json.data).toMatchObject({
      certificate_sha256: data.sha256_thumbprint,
      client_id: clientId,
      credential_id: id,
      kind: 'mtls_thumbprint',
    });
    await call('DELETE', `${credentials()}/${id}`, {});
    const after = await match(agent);
    expect([after.status, after.json.error.type, after.isReused]).toEqual([
      403,
      'client_not_authorized',
      true,
    ]);
    agent.destroy();
  });

  it('are known by one of another authority that was registered, and by none that was not', async () => {
    const [known, stranger] = [await ca.issue(['known.example']), await ca.issue(['stranger.example'])];
    const sha256_thumbprint = new X509Certificate(known.certPem).fingerprint256;
    const { id } = await call('POST', credentials(), {
      kind: 'mtls_thumbprint',
      data: { sha256_thumbprint },
    });
    const found = [];
    for (const identity of [known, stranger, null]) {
      const agent = agentWith(identity && { cert: identity.certPem, key: identity.keyPem });
      const { status, json } = await match(agent);
      found.push([status, json.data?.credential_id]);
      agent.destroy();
    }
    expect(found).toEqual([
      [200, id],
      [403, undefined],
      [403, undefined],
    ]);
  });
});
