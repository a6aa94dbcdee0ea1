import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProofMaker } from '../../packages/server/src/testing/dpop-proofs.js';
import { type OidcIssuers, startOidcIssuers } from '../../packages/server/src/testing/oidc-issuers.js';
import { onPostgres, type PostgresDatabase } from './scene.js';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
} from './server-process.js';

const ISSUER_HOST = 'idp.example.net';
const SUBJECT = 'team:payments:ci';
const API = 'http://api.localhost:8787';
const AT_EACH = 10;

type Params = Readonly<Record<string, string>>;

afterAll(killAll);

onPostgres((open) => {
  describe('of two processes on one database', () => {
    let database: PostgresDatabase;
    let issuers: OidcIssuers;
    let issuer: string;
    let processes: ServerProcess[];
    let bootstrap: Bootstrap;
    let remove: (() => void)[];

    beforeEach(async () => {
      remove = [];
      database = await open();
      issuers = await startOidcIssuers([ISSUER_HOST]);
      issuer = `https://${ISSUER_HOST}:${issuers.upstream.port}/ci`;
      const dirs = [makeDataDir(), makeDataDir()];
      remove.push(...dirs.map((dir) => dir.remove));
      const caFile = join(dirs[0]!.path, '..', 'ca.pem');
      writeFileSync(caFile, issuers.egress.extraCaPem!);
      const environment = {
        ...database.environment,
        MASTER_KEY_B64: randomBytes(32).toString('base64'),
        KNOX_BASE_DOMAIN: 'localhost',
        KNOX_PUBLIC_URL: API,
        KNOX_EXTRA_CA_FILE: caFile,
        KNOX_DNS_SERVERS: `127.0.0.1:${issuers.dns.port}`,
        KNOX_ALLOW_PRIVATE_UPSTREAMS: '127.0.0.1/32',
      };
      processes = [];
      for (const { path } of dirs) processes.push(await startServer({ ...environment, KNOX_DATA_DIR: path }));
      bootstrap = readBootstrap(dirs[0]!.path);
    });
    afterEach(async () => {
      await killAll();
      await issuers.close();
      await database.remove();
      for (const each of remove) each();
    });

    /** Each call to each process, all at once. */
    async function answersOf(params: () => Params, headers: () => Params = () => ({})) {
      const calls = Array.from({ length: AT_EACH }, () =>
        processes.map(async ({ url }) => {
          const response = await fetch(`${url}/oauth/token`, {
            method: 'POST',
            headers: headers(),
            body: new URLSearchParams(params()),
          });
          const { error = 'none' } = (await response.json()) as { error?: string };
          return `${response.status} ${error}`;
        }),
      );
      return (await Promise.all(calls.flat())).sort();
    }

    const auditsOf = async (action: string) => {
      const rows = await database.query(`SELECT id FROM audit_logs WHERE action = '${action}'`);
      return rows.length;
    };

    it('one mints for an assertion, however often both get it', async () => {
      const bound = await fetch(`${processes[0]!.url}/v1/oidc-bindings`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${bootstrap.live_api_key}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ name: 'ci', issuer, subject: SUBJECT, scopes: ['vaults:read'] }),
      });
      expect([bound.status, await bound.text()]).toEqual([201, expect.any(String)]);
      const now = Math.floor(Date.now() / 1_000);
      const assertion = await issuers.at(issuer).sign({
        iss: issuer,
        sub: SUBJECT,
        aud: `knoxcall:api:${bootstrap.tenant.slug}`,
        iat: now,
        exp: now + 300,
        jti: 'one',
      });
      const answers = await answersOf(() => ({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: assertion,
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        audience: 'knoxcall:api',
      }));
      expect(answers).toEqual(['200 none', ...Array(2 * AT_EACH - 1).fill('400 invalid_grant')]);
      expect([await auditsOf('oidc.exchange'), await auditsOf('oauth.token.mint')]).toEqual([1, 1]);
    });

    it('one takes a proof, however often both get it', async () => {
      const proof = createProofMaker().make({
        htm: 'POST',
        htu: `${API}/oauth/token`,
        iat: Math.floor(Date.now() / 1_000),
      });
      const answers = await answersOf(
        () => ({
          grant_type: 'client_credentials',
          client_id: bootstrap.live_api_key,
          client_secret: bootstrap.live_api_key,
        }),
        () => ({ dpop: proof }),
      );
      expect(answers).toEqual(['200 none', ...Array(2 * AT_EACH - 1).fill('400 invalid_dpop_proof')]);
      expect(await auditsOf('oauth.token.mint')).toBe(1);
    });
  });
});
