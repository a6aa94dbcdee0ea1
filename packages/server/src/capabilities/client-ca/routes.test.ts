import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mode, Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { openPkiTools, type PkiTools, withOpenssl } from '../../testing/pki-tools.js';
import type { PreparedCertificate } from './index.js';

const CLIENT = { id: 'cccccccc-0000-4000-8000-000000000001', name: 'build server' };
const ROOTS = '/v1/pki/roots';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
/** Of certificates (contract README §5). */
const WHOLE_SECONDS = /:\d\dZ$/;

let rig: MatrixRig;
let issued: PreparedCertificate;
let revoked: PreparedCertificate;
beforeAll(async () => {
  // The programs that judge what it signs have no clock but the real one.
  rig = await openMatrixRig({ configuredUrl: 'https://knox.example.com/', startMs: Date.now() - 2_000 });
  issued = await issue();
  revoked = await issue();
  await rig.db.transaction((tx) =>
    rig.services.clientCa.revoke(tx, scopeOf('live'), [revoked.serial], 'key_compromise'),
  );
});
afterAll(() => rig.close());

const scopeOf = (mode: Mode): Scope => ({ tenantId: rig.tenant.id, sandbox: mode === 'test' });

async function issue(): Promise<PreparedCertificate> {
  const prepared = await rig.services.clientCa.prepare(scopeOf('live'), CLIENT);
  await rig.db.transaction((tx) => prepared.record(tx));
  return prepared;
}

const read = (path: string, key = rig.tenant.live) => rig.ask('GET', path, { key });

/** Path of an address that a certificate names. */
function namedIn({ certificatePem }: PreparedCertificate): { crl: string; ocsp: string } {
  const { infoAccess, raw } = new X509Certificate(certificatePem);
  const ocsp = /OCSP - URI:(\S+)/.exec(infoAccess!)![1]!;
  const crl = /https:[\x21-\x7e]+?\.crl/.exec(raw.toString('latin1'))![0];
  return { crl, ocsp };
}

describe('the roots', () => {
  it('are `_clients`, once it has signed something', async () => {
    const { status, json } = await read(ROOTS);
    expect(status).toBe(200);
    const [, root] = issued.caChainPem.match(/-----BEGIN[\s\S]*?END CERTIFICATE-----\n/g)!;
    const { tenantId } = scopeOf('live');
    expect(json['data']).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        tenant_id: tenantId,
        name: '_clients',
        cert_pem: root,
        subject: expect.stringMatching(`^CN=Clients root [0-9a-f]{8},OU=live,O=KnoxCall ${tenantId}$`),
        key_algorithm: 'ecdsa-p256',
        subject_fields: { CN: expect.any(String), OU: 'live', O: `KnoxCall ${tenantId}` },
        not_before: expect.stringMatching(WHOLE_SECONDS),
        not_after: expect.stringMatching(WHOLE_SECONDS),
        status: 'active',
        created_at: expect.any(String),
        sandbox: false,
      },
    ]);
    expect(json['meta']).toEqual({ request_id: expect.any(String) });
    expect((await read(ROOTS, rig.tenant.test)).json['data']).toEqual([]);
    expect((await read(ROOTS, rig.other.live)).json['data']).toEqual([]);
  });

  it('show certificate and lists as texts, by name and by id, at both mounts', async () => {
    const { id, cert_pem } = (await read(ROOTS)).json['data'][0];
    for (const mount of ['v1', 'admin'] as const) {
      const world = rig.world(mount, rig.tenant, 'live');
      for (const name of ['_clients', id]) {
        const cert = await world.call('GET', `${ROOTS}/${name}/cert`);
        expect([cert.status, cert.headers['content-type'], cert.text]).toEqual([
          200,
          'text/x-pem-file; charset=utf-8',
          cert_pem,
        ]);
        const crl = await world.call('GET', `${ROOTS}/${name}/crl`);
        expect([crl.status, crl.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
        expect(crl.text).toMatch(
          /^(-----BEGIN X509 CRL-----\n[A-Za-z0-9+/=\n]+-----END X509 CRL-----\n){2}$/,
        );
      }
    }
  });

  it('are 404 where there is none, and to another tenant and mode', async () => {
    const { id } = (await read(ROOTS)).json['data'][0];
    for (const part of ['cert', 'crl']) {
      for (const name of ['_clients', id, 'corp']) {
        for (const key of name === 'corp' ? [rig.tenant.live] : [rig.tenant.test, rig.other.live]) {
          const { status, json } = await read(`${ROOTS}/${name}/${part}`, key);
          expect([status, json['error'].type, json['error'].message]).toEqual([
            404,
            'not_found',
            'Root not found',
          ]);
        }
      }
    }
  });
});

describe('what can only be read', () => {
  it('says so of another method', async () => {
    const answer = await rig.ask('POST', `${ROOTS}/_clients/cert`, { key: rig.tenant.live });
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD']);
  });
});

describe('the addresses in a certificate', () => {
  it('are those of the configured origin', () => {
    const { crl, ocsp } = namedIn(issued);
    const { tenantId } = scopeOf('live');
    expect(crl).toMatch(
      new RegExp(`^https://knox.example.com/pki/${tenantId}/[0-9a-f-]{36}/[0-9a-f]{40}\\.crl$`),
    );
    expect(ocsp).toBe(crl.replace('.crl', '/ocsp'));
  });

  it('give the list to anybody, in DER', async () => {
    const { pathname } = new URL(namedIn(issued).crl);
    const answer = await rig.ask('GET', pathname);
    expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
      200,
      'application/pkix-crl',
      'public, max-age=300',
    ]);
    expect(answer.bytes.includes(Buffer.from(revoked.serial, 'hex'))).toBe(true);
    expect(answer.bytes.includes(Buffer.from(issued.serial, 'hex'))).toBe(false);
    const text = (await read(`${ROOTS}/_clients/crl`)).text.split('-----')[2]!;
    expect(Buffer.from(text, 'base64')).toEqual(answer.bytes);
  });

  it('are 404 where there is nothing', async () => {
    const { pathname } = new URL(namedIn(issued).crl);
    const [, , tenantId, rootId, list] = pathname.split('/') as [string, string, string, string, string];
    for (const path of [
      `/pki/${UNKNOWN}/${rootId}/${list}`,
      `/pki/${rig.other.id}/${rootId}/${list}`,
      `/pki/${tenantId}/${UNKNOWN}/${list}`,
      `/pki/${tenantId}/${rootId}/${'0'.repeat(40)}.crl`,
      `/pki/x/y/${list}`,
      `/pki/${tenantId}/${rootId}/%00.crl`,
      pathname.replace('.crl', '.pem'),
    ]) {
      const { status, json } = await rig.ask('GET', path);
      expect([path, status, json['error']?.type]).toEqual([path, 404, 'not_found']);
    }
    expect((await rig.ask('POST', pathname, { body: {} })).status).toBe(405);
  });
});

describe('OCSP', () => {
  const OCSP = 'application/ocsp-request';
  const UNAUTHORIZED = Buffer.from('30030a0106', 'hex');
  const MALFORMED = Buffer.from('30030a0101', 'hex');
  const TRY_LATER = Buffer.from('30030a0103', 'hex');
  const address = () => new URL(namedIn(issued).ocsp).pathname;
  const post = (path: string, payload: Buffer, type = OCSP) =>
    rig.ask('POST', path, { payload, headers: { 'content-type': type } });

  it('answers what is no request with a refusal in its own form', async () => {
    for (const payload of [Buffer.from('30'), Buffer.from('30000500', 'hex')]) {
      const answer = await post(address(), payload);
      expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
        200,
        'application/ocsp-response',
        'no-store',
      ]);
      expect(answer.bytes).toEqual(MALFORMED);
    }
    for (const text of ['MAA=', '%zz', '%E0%A4%A', 'a'.repeat(10_000)])
      expect((await rig.ask('GET', `${address()}/${text}`)).status).toBeLessThan(500);
    expect((await rig.ask('GET', `${address()}/MAA%3D`)).bytes).toEqual(MALFORMED);
  });

  it('is unauthorized of an issuer that is not there', async () => {
    const path = address().replace(/[0-9a-f]{40}/, '0'.repeat(40));
    expect((await post(path, Buffer.from('30000500', 'hex'))).bytes).toEqual(UNAUTHORIZED);
    const nul = address().replace(/[0-9a-f]{40}/, '%00');
    expect((await post(nul, Buffer.from('30000500', 'hex'))).bytes).toEqual(UNAUTHORIZED);
    expect((await rig.ask('GET', `${nul}/MAA%3D`)).bytes).toEqual(UNAUTHORIZED);
  });

  it('is 415 of another media type, and 413 above 16 KiB', async () => {
    const other = await post(address(), Buffer.from('{}'), 'application/json');
    expect([other.status, other.json['error'].type]).toEqual([415, 'unsupported_media_type']);
    const large = await post(address(), Buffer.alloc(LIMITS.publicBodyBytesMax + 1));
    expect([large.status, large.json['error'].type]).toEqual([413, 'payload_too_large']);
  });

  it('counts with the lists of a network: 429 of these, tryLater of OCSP', async () => {
    const ip = '203.0.113.9';
    const list = new URL(namedIn(issued).crl).pathname;
    const headers = { 'content-type': OCSP };
    const payload = Buffer.from('30000500', 'hex');
    const read = () => rig.ask('GET', list, { ip });
    for (let i = 0; i < LIMITS.pkiReadsPerNetworkMax - 1; i++) rig.services.authorities.admitReader(ip);
    expect((await read()).status).toBe(200);
    const refused = await read();
    expect([refused.status, refused.json['error'].type]).toEqual([429, 'rate_limit_exceeded']);
    expect(refused.headers['retry-after']).toBe('60');
    for (const answer of [
      await rig.ask('POST', address(), { ip, payload, headers }),
      await rig.ask('GET', `${address()}/MAA%3D`, { ip }),
    ]) {
      expect([answer.status, answer.headers['retry-after'], answer.headers['cache-control']]).toEqual([
        200,
        '60',
        'no-store',
      ]);
      expect(answer.bytes).toEqual(TRY_LATER);
    }
    expect((await rig.ask('GET', list, { ip: '203.0.113.10' })).status).toBe(200);
    rig.clock.advance(LIMITS.pkiReadWindowMs);
    expect((await read()).status).toBe(200);
    expect((await rig.ask('POST', address(), { ip, payload, headers })).bytes).toEqual(MALFORMED);
  });

  withOpenssl(() => {
    let tools: PkiTools;
    let origin: string;
    beforeAll(async () => {
      tools = openPkiTools();
      await rig.app.listen({ host: '127.0.0.1', port: 0 });
      origin = `http://127.0.0.1:${(rig.app.server.address() as AddressInfo).port}`;
    });
    afterAll(() => tools.close());

    async function ask({ certificatePem, caChainPem }: PreparedCertificate, ...more: string[]) {
      const issuer = tools.file('issuing.pem', caChainPem);
      const root = tools.file('root.pem', (await read(`${ROOTS}/_clients/cert`)).text);
      const cert = tools.file('leaf.pem', certificatePem);
      const url = `${origin}${address()}`;
      const args = ['-issuer', issuer, '-cert', cert, '-CAfile', root, '-url', url];
      return (await tools.openssl('ocsp', ...args, ...more)).text;
    }

    it('is asked by POST, with and without a nonce', async () => {
      for (const more of [[], ['-no_nonce']]) {
        const good = await ask(issued, ...more);
        expect(good).toContain('Response verify OK');
        expect(good).toContain('leaf.pem: good');
        expect(good).not.toContain('no nonce in response');
        expect(good).not.toContain('WARNING: Status times invalid');
      }
      const bad = await ask(revoked);
      expect(bad).toContain('Response verify OK');
      expect(bad).toMatch(/leaf\.pem: revoked[\s\S]*Reason: keyCompromise/);
    });

    it('knows nothing of a certificate that was never recorded', async () => {
      const prepared = await rig.services.clientCa.prepare(scopeOf('live'), CLIENT);
      expect(await ask(prepared)).toContain('leaf.pem: unknown');
    });

    it('says revoked the moment that it is', async () => {
      const prepared = await issue();
      expect(await ask(prepared)).toContain('leaf.pem: good');
      await rig.db.transaction((tx) =>
        rig.services.clientCa.revoke(tx, scopeOf('live'), [prepared.serial], 'unspecified'),
      );
      expect(await ask(prepared)).toMatch(/leaf\.pem: revoked\n(?![\s\S]*Reason:)/);
    });

    it('is asked by GET, cacheable, with slashes as they are', async () => {
      const issuer = tools.file('g-issuing.pem', issued.caChainPem);
      const cert = tools.file('g-leaf.pem', issued.certificatePem);
      const request = tools.file('g.der', '');
      const given = ['ocsp', '-no_nonce', '-issuer', issuer, '-cert', cert];
      await tools.openssl(...given, '-reqout', request);
      const base64 = tools.read('g.der').toString('base64');
      for (const text of [encodeURIComponent(base64), base64]) {
        const answer = await rig.ask('GET', `${address()}/${text}`);
        expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'public, max-age=300']);
        const root = tools.file('g-root.pem', (await read(`${ROOTS}/_clients/cert`)).text);
        const judged = await tools.openssl(
          ...given,
          '-CAfile',
          root,
          '-respin',
          tools.file('g-answer.der', answer.bytes),
        );
        expect(judged.text).toContain('Response verify OK');
        expect(judged.text).toContain('g-leaf.pem: good');
      }
      // The same question about another issuer's certificate.
      const foreign = tools.file('g-root.pem', (await read(`${ROOTS}/_clients/cert`)).text);
      await tools.openssl('ocsp', '-issuer', foreign, '-cert', issuer, '-reqout', request);
      expect((await post(address(), tools.read('g.der'))).bytes).toEqual(UNAUTHORIZED);
    });

    it('answers of the issuing authority itself under the address of its root', async () => {
      const root = tools.file('r-root.pem', (await read(`${ROOTS}/_clients/cert`)).text);
      const issuing = tools.file('r-issuing.pem', issued.caChainPem);
      const named = new X509Certificate(issued.caChainPem).infoAccess!;
      const { pathname } = new URL(/OCSP - URI:(\S+)/.exec(named)![1]!);
      const url = `${origin}${pathname}`;
      const { text } = await tools.openssl(
        'ocsp',
        ...['-issuer', root, '-cert', issuing, '-CAfile', root, '-url', url],
      );
      expect(text).toContain('Response verify OK');
      expect(text).toContain('r-issuing.pem: good');
    });
  });
});
