import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AzureKey } from '../../capabilities/kms/cloud-key.js';
import type { TestCa } from '../tls-upstream.js';
import {
  AZURE_APPLICATION,
  AZURE_ASSERTION,
  type AzureEmulator,
  startAzureEmulator,
} from './azure-emulator.js';
import { type CloudEmulator, hostileAnswer } from './emulator.js';
import { type GcpEmulator, startGcpEmulator } from './gcp-emulator.js';

/** Azure from a machine in it: the identity is asked of its metadata service (IMDS), over plain HTTP. */
export async function startAzureMachine(ca: TestCa): Promise<CloudEmulator> {
  const emulator = await startAzureEmulator(ca);
  const calls = emulator.calls as string[];
  const metadata = await startMetadata((request, response) => {
    calls.push('identity');
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://metadata');
    const hostile = hostileAnswer(emulator.state.identityAnswers);
    if (hostile?.status) return response.writeHead(hostile.status, hostile.headers).end(hostile.body);
    const isRight =
      /^\/metadata\/identity\/oauth2\/token\/?$/.test(pathname) &&
      request.headers['metadata'] === 'true' &&
      query.get('api-version') === '2018-02-01' &&
      query.get('resource') === 'https://vault.azure.net';
    if (!isRight || !emulator.state.isTrusted) {
      return answer(response, 400, { error: 'invalid_request', error_description: 'Identity not found' });
    }
    answer(response, 200, {
      access_token: emulator.giveToken(),
      expires_in: '86400',
      resource: 'https://vault.azure.net',
      token_type: 'Bearer',
    });
  });
  return {
    ...emulator,
    key: ofOwnIdentity(emulator.key),
    otherKey: ofOwnIdentity(emulator.otherKey),
    environment: { AZURE_POD_IDENTITY_AUTHORITY_HOST: metadata.url },
    async close() {
      await metadata.close();
      await emulator.close();
    },
  };
}

/** Azure from a pod: the identity is proven by a token that Kubernetes mounts. */
export async function startAzureWorkload(ca: TestCa): Promise<CloudEmulator> {
  const emulator = await startAzureEmulator(ca);
  const dir = mkdtempSync(join(tmpdir(), 'knox-azure-'));
  const tokenFile = join(dir, 'token');
  writeFileSync(tokenFile, `${AZURE_ASSERTION}\n`);
  const { clientId, azureTenantId: tenantId } = AZURE_APPLICATION;
  return {
    ...emulator,
    key: ofOwnIdentity(emulator.key),
    otherKey: ofOwnIdentity(emulator.otherKey),
    azureWorkload: { clientId, tenantId, tokenFile },
    async close() {
      await emulator.close();
      rmSync(dir, { recursive: true });
    },
  };
}

/** Google from a machine in it. */
export async function startGcpMachine(ca: TestCa): Promise<GcpEmulator> {
  const emulator = await startGcpEmulator(ca);
  const metadata = await startMetadata((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (request.headers['metadata-flavor'] !== 'Google') return answer(response, 403, {});
    if (path === '/computeMetadata/v1/instance/service-accounts/default/token') {
      return answer(response, 200, {
        access_token: emulator.ownToken,
        expires_in: 3599,
        token_type: 'Bearer',
      });
    }
    if (path === '/computeMetadata/v1/instance/service-accounts/default/email') {
      return response
        .writeHead(200, { 'metadata-flavor': 'Google', 'content-type': 'application/text' })
        .end('machine@acme.iam.gserviceaccount.com');
    }
    return response.writeHead(200, { 'metadata-flavor': 'Google' }).end('googleapis.com');
  });
  return {
    ...emulator,
    environment: {
      GCE_METADATA_HOST: metadata.url.replace('http://', ''),
      METADATA_SERVER_DETECTION: 'assume-present',
      // Nobody's settings of this machine.
      CLOUDSDK_CONFIG: '/nonexistent',
    },
    async close() {
      await metadata.close();
      await emulator.close();
    },
  };
}

function ofOwnIdentity(key: AzureEmulator['key']): AzureKey {
  return { ...key, config: { ...key.config, application: null } };
}

type Metadata = (request: IncomingMessage, response: ServerResponse) => unknown;

async function startMetadata(handler: Metadata): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { 'metadata-flavor': 'Google', 'content-type': 'application/json' })
    .end(JSON.stringify(body));
}
