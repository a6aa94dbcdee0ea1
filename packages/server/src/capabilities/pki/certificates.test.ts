import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wholeSeconds } from '../../kernel/clock.js';
import { type MatrixRig, openMatrixRig, type World } from '../../testing/matrix-rig.js';
import { CSR_PEM } from '../../testing/pki-samples.js';
import { openPkiTools, type PkiTools, withCerttool, withOpenssl } from '../../testing/pki-tools.js';

const ROOTS = '/v1/pki/roots';
const DAY_S = 86_400;
const SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

let rig: MatrixRig;
let live: World;
beforeAll(async () => {
  // The programs that judge what is signed have no clock but the real one, of which this one stays behind.
  rig = await openMatrixRig({
    configuredUrl: 'https://knox.example.com',
    startMs: wholeSeconds(Date.now() - 600_000),
  });
  live = rig.world('v1', rig.tenant, 'live');
  const subject = { CN: 'Acme Root', O: 'Acme', C: 'DE', ST: 'Bayern', L: 'Fürth', OU: 'Security' };
  await post('', { name: 'corp', subject });
  await newRole('web', {
    allowed_domains: ['example.internal'],
    allow_subdomains: true,
    allow_wildcards: true,
  });
});
afterAll(() => rig.close());

const post = (path: string, body: unknown, headers = {}) =>
  live.call('POST', `${ROOTS}${path}`, { body, headers });
const newRole = (role_name: string, more: object) => post('/corp/roles', { role_name, ...more });

interface IssuedBody {
  readonly serial_hex: string;
  readonly cert_pem: string;
  readonly private_key_pem: string;
  readonly ca_chain_pem: string;
  readonly not_before: string;
  readonly not_after: string;
}

async function issue(body: object, role = 'web', root = 'corp'): Promise<IssuedBody> {
  const { status, text, json } = await post(`/${root}/issue/${role}`, body);
  expect([status, text]).toEqual([200, expect.any(String)]);
  return json['data'];
}

const lifeOf = ({ not_after }: IssuedBody) => Math.round((Date.parse(not_after) - rig.clock.nowMs()) / 1_000);
const auditOf = async (action: string, id: string) =>
  (await live.call('GET', `/v1/audit-logs?action=${action}&per_page=100`)).json['data'].filter(
    (row: { resource_id: string }) => row.resource_id === id,
  );

describe('issuing', () => {
  it('certifies the names, with what the root says of the organisation', async () => {
    const issued = await issue({
      subject: { CN: 'API.example.internal', OU: 'Web' },
      san_dns: [
        'www.example.internal.',
        '*.example.internal',
        'bücher.example.internal',
        'WWW.example.internal',
      ],
      san_ip: ['10.0.0.9', '2001:DB8::1'],
    });
    expect(Object.keys(issued).sort()).toEqual([
      'ca_chain_pem',
      'cert_pem',
      'not_after',
      'not_before',
      'private_key_pem',
      'serial_hex',
    ]);
    const certificate = new X509Certificate(issued.cert_pem);
    expect(certificate.subject).toBe('C=DE\nST=Bayern\nL=Fürth\nO=Acme\nOU=Web\nCN=api.example.internal');
    expect(certificate.subjectAltName).toBe(
      [
        'DNS:api.example.internal',
        'DNS:www.example.internal',
        'DNS:*.example.internal',
        'DNS:xn--bcher-kva.example.internal',
        'IP Address:10.0.0.9',
        'IP Address:2001:DB8:0:0:0:0:0:1',
      ].join(', '),
    );
    expect(certificate.serialNumber.toLowerCase()).toBe(issued.serial_hex);
    expect(issued.serial_hex).toMatch(/^[0-9a-f]{32}$/);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect([issued.not_before, issued.not_after]).toEqual([
      expect.stringMatching(SECONDS),
      expect.stringMatching(SECONDS),
    ]);
    expect(certificate.checkPrivateKey(createPrivateKey(issued.private_key_pem))).toBe(true);
    const issuing = new X509Certificate(issued.ca_chain_pem);
    expect(issued.ca_chain_pem.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(certificate.checkIssued(issuing)).toBe(true);
    const [row] = await auditOf('pki.issue', issued.serial_hex);
    expect(row).toMatchObject({
      resource_type: 'certificate',
      details: { root: 'corp', role: 'web', names_count: 6, san_ip: ['10.0.0.9', '2001:db8::1'] },
    });
  });

  it('takes fields of the organisation from the call where it has them', async () => {
    const subject = { organization: 'Other', country: 'fr', CN: 'a.example.internal' };
    const { subject: shown } = new X509Certificate((await issue({ subject })).cert_pem);
    expect(shown).toBe('ST=Bayern\nL=Fürth\nC=FR\nO=Other\nCN=a.example.internal');
  });

  it('needs no CN, and takes an address for one', async () => {
    const dns = new X509Certificate((await issue({ san_dns: ['a.example.internal'] })).cert_pem);
    expect(dns.subject).toBe('C=DE\nST=Bayern\nL=Fürth\nO=Acme');
    const ip = new X509Certificate((await issue({ subject: { CN: '10.0.0.1' } })).cert_pem);
    expect([ip.subject.split('\n').at(-1), ip.subjectAltName]).toEqual([
      'CN=10.0.0.1',
      'IP Address:10.0.0.1',
    ]);
  });

  it('cuts the time to what role and issuing authority allow', async () => {
    const body = { san_dns: ['a.example.internal'] };
    expect(lifeOf(await issue({ ...body, ttl_seconds: 600 }))).toBe(600);
    await newRole('hour', {
      allowed_domains: ['example.internal'],
      max_ttl_seconds: 3_600,
      allow_subdomains: true,
    });
    expect(lifeOf(await issue(body, 'hour'))).toBe(3_600);
    expect(lifeOf(await issue({ ...body, ttl_seconds: 3_601 }, 'hour'))).toBe(3_600);
    expect(lifeOf(await issue({ ...body, ttl_seconds: Number.MAX_SAFE_INTEGER }, 'hour'))).toBe(3_600);
    const long = await issue({ ...body, ttl_seconds: 90 * DAY_S });
    const issuing = new X509Certificate(long.ca_chain_pem);
    expect(Date.parse(long.not_after)).toBe(Date.parse(issuing.validTo));
    expect(lifeOf(long)).toBeLessThanOrEqual(30 * DAY_S);
    expect(lifeOf(long)).toBeGreaterThan(29 * DAY_S);
  });

  it('makes keys of the kind that the role names', async () => {
    const detailOf = (pem: string) => createPublicKey(pem).asymmetricKeyDetails;
    for (const [key_algorithm, detail] of [
      ['ecdsa-p256', { namedCurve: 'prime256v1' }],
      ['ecdsa-p384', { namedCurve: 'secp384r1' }],
      ['rsa-2048', { modulusLength: 2_048, publicExponent: 65_537n }],
    ] as const) {
      await newRole(key_algorithm, { allowed_domains: ['example.internal'], key_algorithm });
      const { private_key_pem } = await issue({ san_dns: ['example.internal'] }, key_algorithm);
      expect(private_key_pem).toMatch(/^-----BEGIN PRIVATE KEY-----/);
      expect(detailOf(private_key_pem)).toMatchObject(detail);
    }
  });

  it('shows the private key once, and keeps it nowhere', async () => {
    const body = { san_dns: ['a.example.internal'] };
    const key = { 'x-idempotency-key': 'issue-1' };
    const first = await post('/corp/issue/web', body, key);
    const again = await post('/corp/issue/web', body, key);
    expect([first.headers['cache-control'], again.headers['x-idempotent-replay']]).toEqual([
      'no-store',
      'true',
    ]);
    expect(again.json['data']).toEqual({ ...first.json['data'], private_key_pem: null });
    const other = await post('/corp/issue/web', { san_dns: ['b.example.internal'] }, key);
    expect([other.status, other.json['error'].type]).toEqual([409, 'idempotency_conflict']);
    const admin = rig.world('admin', rig.tenant, 'live');
    const call = { body, headers: key };
    const bare = await admin.call('POST', `${ROOTS}/corp/issue/web`, call);
    const replayed = await admin.call('POST', `${ROOTS}/corp/issue/web`, call);
    expect(replayed.json).toEqual({ ...bare.json, private_key_pem: null });
    const { storage } = rig.db;
    const paths = storage.kind === 'sqlite' ? [storage.path, storage.logPath] : [];
    const stored = paths.flatMap((path) => [path, `${path}-wal`]).filter(existsSync);
    expect(stored.length).toBeGreaterThan(1);
    for (const { private_key_pem } of [first.json['data'], bare.json]) {
      const der = createPrivateKey(private_key_pem).export({ format: 'der', type: 'pkcs8' });
      // The scalar stands behind the fixed beginning of PKCS #8.
      const scalar = der.subarray(36, 68);
      for (const bytes of stored.map((path) => readFileSync(path)))
        for (const form of [scalar, private_key_pem.split('\n')[2], scalar.toString('hex')])
          expect(bytes.includes(form)).toBe(false);
    }
  });
});

describe('signing', () => {
  it('certifies key and names of a request', async () => {
    const { status, json } = await post('/corp/sign/web', { csr_pem: CSR_PEM, ttl_seconds: 600 });
    expect(status).toBe(200);
    const signed = json['data'];
    expect(Object.keys(signed).sort()).toEqual([
      'ca_chain_pem',
      'cert_pem',
      'not_after',
      'not_before',
      'serial_hex',
    ]);
    const certificate = new X509Certificate(signed.cert_pem);
    expect(certificate.subject).toBe('ST=Bayern\nL=Fürth\nC=DE\nO=Acme\nCN=csr.example.internal');
    expect(certificate.subjectAltName).toBe(
      'DNS:csr.example.internal, DNS:www.example.internal, IP Address:10.0.0.9',
    );
    expect(await auditOf('pki.sign', signed.serial_hex)).toHaveLength(1);
    const again = { csr_pem: CSR_PEM, ttl_seconds: 600 };
    const key = { 'x-idempotency-key': 'sign-1' };
    const [first, second] = [
      await post('/corp/sign/web', again, key),
      await post('/corp/sign/web', again, key),
    ];
    expect(second.json).toEqual(first.json);
  });

  withOpenssl(() => {
    let tools: PkiTools;
    beforeAll(() => {
      tools = openPkiTools();
    });
    afterAll(() => tools.close());

    async function requestOf(subject: string, key: string[], ...more: string[]): Promise<string> {
      const out = tools.file('request.pem', '');
      const words = ['req', '-new', '-nodes', '-keyout', tools.file('request.key', ''), '-out', out];
      const { code, text } = await tools.openssl(...words, '-subj', subject, ...key, ...more);
      expect([code, text]).toEqual([0, expect.any(String)]);
      return tools.read('request.pem').toString();
    }
    const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const sign = (csr_pem: string) => post('/corp/sign/web', { csr_pem });

    it.each([
      ['P-256', P256],
      ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
      ['RSA', ['-newkey', 'rsa:2048']],
      ['Ed25519', ['-newkey', 'ed25519']],
    ])('takes a key of %s', async (_kind, key) => {
      const csr = await requestOf('/CN=k.example.internal', key);
      const { status, json } = await sign(csr);
      expect(status).toBe(200);
      const certificate = new X509Certificate(json['data'].cert_pem);
      expect(certificate.checkPrivateKey(createPrivateKey(tools.read('request.key')))).toBe(true);
      expect(certificate.subjectAltName).toBe('DNS:k.example.internal');
    });

    it.each<[string, string[], string[], string]>([
      ['/CN=evil.com', P256, [], '"evil.com" is matched by no entry'],
      ['/CN=a.example.internal', P256, ['-addext', 'subjectAltName=DNS:evil.com'], '"evil.com" is matched'],
      ['/CN=a.example.internal', P256, ['-addext', 'subjectAltName=email:a@b.c'], 'asks for email:a@b.c'],
      [
        '/CN=a.example.internal',
        P256,
        ['-addext', 'subjectAltName=URI:urn:knoxcall:client:x'],
        'uri:urn:knoxcall',
      ],
      ['/CN=a.example.internal', P256, ['-addext', 'basicConstraints=CA:TRUE'], 'an authority'],
      ['/O=Acme', P256, [], 'must name something'],
      ['/CN=a.example.internal', ['-newkey', 'rsa:1024'], [], '2048'],
    ])('refuses %s %j %j', async (subject, key, more, rule) => {
      const { status, json } = await sign(await requestOf(subject, key, ...more));
      expect([status, json['fields']]).toEqual([400, { csr_pem: [expect.stringContaining(rule)] }]);
    });
  });
});

describe('revoking', () => {
  it('keeps the first date and reason, and knows other words than those of RFC 5280', async () => {
    const { serial_hex } = await issue({ san_dns: ['a.example.internal'] });
    const path = `${ROOTS}/corp/certs/${serial_hex}`;
    const read = async () => (await live.call('GET', path)).json['data'];
    expect(await read()).toMatchObject({ revoked_at: null, reason: null });
    const shown = serial_hex.toUpperCase().match(/../g)!.join(':');
    const first = await post('/corp/revoke', { serial_hex: shown, reason: 'laptop lost on a train' });
    expect([first.status, first.json['data']]).toEqual([200, { revoked: true }]);
    const before = await read();
    expect(before).toMatchObject({
      revoked_at: expect.stringMatching(SECONDS),
      reason: 'laptop lost on a train',
    });
    rig.clock.advance(2_000);
    const second = await post('/corp/revoke', { serial_hex, reason: 'keyCompromise' });
    expect([second.status, second.json['data']]).toEqual([200, { revoked: true }]);
    expect(await read()).toEqual(before);
    const rows = await auditOf('pki.revoke', serial_hex);
    expect(rows).toEqual([
      expect.objectContaining({
        resource_type: 'certificate',
        details: expect.objectContaining({ reason: 'unspecified', reason_text: 'laptop lost on a train' }),
      }),
    ]);
  });

  it('is 404 of a serial that the root has not issued', async () => {
    await post('', { name: 'other' });
    const { serial_hex } = await issue({ san_dns: ['a.example.internal'] });
    for (const [root, serial] of [
      ['corp', 'ab12'],
      ['other', serial_hex],
    ]) {
      const revoked = await post(`/${root}/revoke`, { serial_hex: serial });
      expect([revoked.status, revoked.json['error'].message]).toEqual([404, 'Certificate not found']);
      const found = await live.call('GET', `${ROOTS}/${root}/certs/${serial}`);
      expect([found.status, found.json['error'].message]).toEqual([404, 'Certificate not found']);
    }
    const test = rig.world('v1', rig.tenant, 'test');
    await test.call('POST', ROOTS, { body: { name: 'corp' } });
    for (const world of [test, rig.world('v1', rig.other, 'live')]) {
      const { status } = await world.call('POST', `${ROOTS}/corp/revoke`, { body: { serial_hex } });
      expect(status).toBe(404);
    }
    expect((await live.call('GET', `${ROOTS}/corp/certs/${serial_hex}`)).json['data'].revoked_at).toBeNull();
  });
});

describe('the list', () => {
  it('has pages, the newest first, by status, without the certificate itself', async () => {
    await post('', { name: 'listed' });
    await post('/listed/roles', { role_name: 'web', allowed_domains: ['*.list.internal'] });
    const made: IssuedBody[] = [];
    for (const ttl_seconds of [60, 3_600, 3_600, 3_600]) {
      rig.clock.advance(1);
      made.push(await issue({ san_dns: [`n${made.length}.list.internal`], ttl_seconds }, 'web', 'listed'));
    }
    await post('/listed/revoke', { serial_hex: made[1]!.serial_hex, reason: 'superseded' });
    rig.clock.advance(120_000);
    const list = async (query: string) => (await live.call('GET', `${ROOTS}/listed/certs${query}`)).json;
    const serialsOf = async (query: string) =>
      (await list(query))['data'].map(({ serial_hex }: IssuedBody) => serial_hex);
    const newestFirst = made.map(({ serial_hex }) => serial_hex).reverse();
    expect(await serialsOf('')).toEqual(newestFirst);
    expect(await serialsOf('?status=active')).toEqual(newestFirst.slice(0, 2));
    expect(await serialsOf('?status=revoked')).toEqual([made[1]!.serial_hex]);
    expect(await serialsOf('?status=expired')).toEqual([made[0]!.serial_hex]);
    const page = await list('?per_page=3&page=2');
    expect(page['meta']).toMatchObject({ total: 4, page: 2, per_page: 3, total_pages: 2 });
    expect(page['data']).toEqual([
      {
        serial_hex: made[0]!.serial_hex,
        subject: '',
        san_dns: ['n0.list.internal'],
        san_ip: [],
        role: 'web',
        not_before: made[0]!.not_before,
        not_after: made[0]!.not_after,
        revoked_at: null,
        reason: null,
      },
    ]);
    const one = await live.call('GET', `${ROOTS}/listed/certs/${made[0]!.serial_hex.toUpperCase()}`);
    expect(one.json['data']).toEqual({ ...page['data'][0], cert_pem: made[0]!.cert_pem });
    const admin = await rig
      .world('admin', rig.tenant, 'live')
      .call('GET', `${ROOTS}/listed/certs?per_page=1`);
    expect(admin.json).toMatchObject({ data: [{ serial_hex: newestFirst[0] }], meta: { total: 4 } });
  });
});

withOpenssl(() => {
  // Keys of 4096 bits take long: they are in the suite of authorities.
  describe.each(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072'])('below a root of %s', (kind) => {
    let tools: PkiTools;
    let good: IssuedBody;
    let bad: IssuedBody;
    const rootPem = () => tools.file('root.pem', root);
    let root: string;
    let lists: string;
    beforeAll(async () => {
      tools = openPkiTools();
      const name = `of ${kind}`;
      await post('', { name, key_algorithm: kind, subject: { CN: `Root ${kind}`, O: 'Acme', C: 'DE' } });
      const path = `/${encodeURIComponent(name)}`;
      await post(`${path}/roles`, { role_name: 'web', allowed_domains: ['a.internal'] });
      good = await issue({ subject: { CN: 'a.internal' } }, 'web', encodeURIComponent(name));
      bad = await issue({ san_dns: ['a.internal'] }, 'web', encodeURIComponent(name));
      await post(`${path}/revoke`, { serial_hex: bad.serial_hex, reason: 'keyCompromise' });
      await post(`${path}/rotate-intermediate`, {});
      root = (await live.call('GET', `${ROOTS}${path}/cert`)).text;
      lists = (await live.call('GET', `${ROOTS}${path}/crl`)).text;
    });
    afterAll(() => tools.close());

    function verify(one: IssuedBody, ...more: string[]) {
      const leaf = tools.file('leaf.pem', one.cert_pem);
      const chain = tools.file('chain.pem', one.ca_chain_pem);
      return tools.openssl(
        'verify',
        '-x509_strict',
        '-CAfile',
        rootPem(),
        '-untrusted',
        chain,
        ...more,
        leaf,
      );
    }
    const withLists = () => ['-crl_check_all', '-CRLfile', tools.file('lists.pem', lists)];

    it('openssl takes the chain, for both purposes and by name', async () => {
      for (const more of [
        [],
        ['-purpose', 'sslserver'],
        ['-purpose', 'sslclient'],
        ['-verify_hostname', 'a.internal'],
        withLists(),
      ])
        expect((await verify(good, ...more)).text).toContain('leaf.pem: OK');
      expect((await verify(good, '-verify_hostname', 'b.internal')).code).not.toBe(0);
    });

    it('openssl refuses what the list has, and takes it without the list', async () => {
      expect((await verify(bad)).text).toContain('leaf.pem: OK');
      expect((await verify(bad, ...withLists())).text).toContain('certificate revoked');
    });

    withCerttool(() => {
      it('GnuTLS takes the chain', async () => {
        const chain = tools.file('whole.pem', good.cert_pem + good.ca_chain_pem + root);
        const { code, text } = await tools.certtool('--verify-chain', '--infile', chain);
        expect([code, text]).toEqual([0, expect.stringContaining('Verified. The certificate is trusted.')]);
      });
    });
  });
});
