import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mode, Scope } from '../../kernel/ids.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import {
  type CertificateFiles,
  filesOf,
  freePort,
  programPath,
  type RunningNginx,
  runProgram,
  skippedWithout,
  startNginx,
} from '../../testing/programs.js';
import { createTestCa } from '../../testing/tls-upstream.js';

const PAGE = new URL('../../../../../docs/operations/client-certificates.md', import.meta.url);
const NGINX = process.env['TEST_NGINX'] ?? programPath('nginx');
const SKIPPED = skippedWithout('curl', 'openssl');

/** Programs beside KnoxCall that let its clients in, set up as docs/operations/client-certificates.md says. */
describe.skipIf(SKIPPED !== '')(`who verifies client certificates itself${SKIPPED}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'knox-verifiers-'));
  const at = (name: string) => join(dir, name);
  const clients: Record<string, CertificateFiles> = {};
  let rig: MatrixRig;
  let own: CertificateFiles;

  const scopeOf = (mode: Mode): Scope => ({ tenantId: rig.tenant.id, sandbox: mode === 'test' });

  /** With the chain, which the verifier has only the root of; `alone` is without. */
  async function issue(name: string, mode: Mode): Promise<string> {
    const { clientCa } = rig.services;
    const id = `cccccccc-0000-4000-8000-00000000000${Object.keys(clients).length}`;
    const prepared = await clientCa.prepare(scopeOf(mode), { id, name });
    await rig.db.transaction((tx) => prepared.record(tx));
    const { certificatePem, caChainPem } = prepared;
    const keyPem = prepared.privateKeyPem.reveal();
    clients[name] = filesOf(dir, name, { certPem: `${certificatePem}${caChainPem}`, keyPem });
    clients[`${name} alone`] = filesOf(dir, `${name}-alone`, { certPem: certificatePem, keyPem });
    writeFileSync(at('chain.pem'), caChainPem);
    return prepared.serial;
  }

  beforeAll(async () => {
    // nginx and Node have no clock but the real one.
    rig = await openMatrixRig({ startMs: Date.now() - 2_000 });
    const { authorities, clientCa } = rig.services;
    await issue('foreign', 'test');
    const revoked = await issue('revoked', 'live');
    await issue('good', 'live');
    await rig.db.transaction((tx) =>
      clientCa.revoke(tx, scopeOf('live'), [revoked], 'cessation_of_operation'),
    );
    writeFileSync(at('clients-root.pem'), await authorities.rootsPem(scopeOf('live'), '_clients'));
    writeFileSync(at('clients-crl.pem'), await authorities.listsPem(scopeOf('live'), '_clients'));
    own = filesOf(dir, 'own', await (await createTestCa()).issue(['localhost']));
  });
  afterAll(async () => {
    await rig?.close();
    rmSync(dir, { recursive: true });
  });

  async function ask(port: number, client?: string): Promise<string> {
    const files =
      client === undefined ? [] : ['--cert', clients[client]!.cert, '--key', clients[client]!.key];
    return (await runProgram('curl', ['-sSk', ...files, `https://127.0.0.1:${port}/`])).out;
  }

  describe.skipIf(!NGINX)(`nginx${NGINX ? '' : ' (skipped: not installed)'}`, () => {
    let nginx: RunningNginx;
    let port: number;
    let chainPort: number;

    const serverOf = (listen: number, settings: string) => `
  server {
    listen 127.0.0.1:${listen} ssl;
    ssl_certificate ${own.cert};
    ssl_certificate_key ${own.key};
    ${settings.replaceAll('/etc/nginx', dir)}
    location / { return 200 $ssl_client_verify; }
    error_page 495 =400 /refused;
    error_page 496 =400 /refused;
    location = /refused { return 400 $ssl_client_verify; }
  }`;

    beforeAll(async () => {
      const settings = /```nginx\n(ssl_client_certificate[\s\S]+?)```/.exec(readFileSync(PAGE, 'utf8'))![1]!;
      [port, chainPort] = [await freePort(), await freePort()];
      const blocks =
        serverOf(port, settings) + serverOf(chainPort, settings.replace('clients-root', 'chain'));
      nginx = await startNginx(NGINX!, dir, { port, blocks });
    });
    afterAll(() => nginx?.stop());

    it('takes a good certificate with its chain, and refuses what is revoked, foreign or not there', async () => {
      expect(await ask(port, 'good')).toBe('SUCCESS');
      expect(await ask(port, 'revoked')).toBe('FAILED:certificate revoked');
      expect(await ask(port, 'foreign')).toMatch(/^FAILED:/);
      expect(await ask(port)).toBe('NONE');
    });

    it('needs the chain: of the client, or as its own file', async () => {
      expect(await ask(port, 'good alone')).toBe('FAILED:unable to verify the first certificate');
      expect(await ask(chainPort, 'good alone')).toBe('SUCCESS');
      expect(await ask(chainPort, 'revoked alone')).toBe('FAILED:certificate revoked');
    });
  });

  describe('TLS of Node', () => {
    const servers: Server[] = [];
    afterAll(() => {
      for (const server of servers) server.close();
    });

    const blocksOf = (name: string) => readFileSync(at(name), 'utf8').match(/-----BEGIN[\s\S]+?-----END.+/g)!;

    /** What it finds of the certificate of a client. */
    async function open(crl: string | string[]): Promise<number> {
      const server = createServer(
        {
          cert: readFileSync(own.cert),
          key: readFileSync(own.key),
          ca: blocksOf('clients-root.pem'),
          crl,
          requestCert: true,
          rejectUnauthorized: false,
        },
        ({ socket }, response) => {
          const { authorized, authorizationError } = socket as TLSSocket;
          response.end(authorized ? 'SUCCESS' : String(authorizationError));
        },
      );
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    }

    it('takes a good certificate, and refuses what is revoked, foreign or without its chain', async () => {
      const port = await open(blocksOf('clients-crl.pem'));
      expect(await ask(port, 'good')).toBe('SUCCESS');
      expect(await ask(port, 'revoked')).toBe('CERT_REVOKED');
      expect(await ask(port, 'foreign')).toMatch(/^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_CRL)$/);
      expect(await ask(port, 'good alone')).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    });

    it('reads one list of a text: it needs an array', async () => {
      const port = await open(readFileSync(at('clients-crl.pem'), 'utf8'));
      expect(await ask(port, 'good')).toBe('UNABLE_TO_GET_CRL');
    });
  });
});
