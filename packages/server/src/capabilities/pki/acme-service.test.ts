import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { actorOf } from '../../kernel/principal.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { CSR_PEM } from '../../testing/pki-samples.js';
import { CsrRefused } from '../x509/index.js';
import type { AcmeRole } from './index.js';

/** For csr.example.internal and www.example.internal, and an address. */
const CSR = Buffer.from(CSR_PEM.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
const NAMES = ['csr.example.internal', 'www.example.internal'];

/** For a.example.internal, by an organisation that nobody has proven. */
const DNS_CSR =
  'MIIBFjCBvgIBADAsMQ0wCwYDVQQKDARFdmlsMRswGQYDVQQDDBJhLmV4YW1wbGUuaW50ZXJuYWwwWTATBgcqhkjOPQIBBggqhkjO' +
  'PQMBBwNCAAQJY359RMZJ+fv0VYlbocW6AZup6ob8S8N6QDiikbJpSaQHLpwLHgtNoCb6qFVCOm+S4JzN3K+vvEFFJ2+hfUIJoDAw' +
  'LgYJKoZIhvcNAQkOMSEwHzAdBgNVHREEFjAUghJhLmV4YW1wbGUuaW50ZXJuYWwwCgYIKoZIzj0EAwIDRwAwRAIgTMVpl5pnepgb' +
  'ihUaNtqeKfBivjlX8BITCQ5X7YlY4PECIFNjDxIiypQBTwXI/3bH2f5MiU5ntqP/6X/LvbXVc8gL';

let harness: Harness;
let target: AcmeRole;
beforeAll(async () => {
  harness = await createHarness();
  const subject = { CN: 'Root', O: 'Acme', C: 'DE' };
  const { root } = await harness.pki.roots.create(caller(), {
    name: 'corp',
    subject,
    keyAlgorithm: 'ecdsa-p256',
  });
  const terms = {
    allowedDomains: ['example.internal'],
    allowSubdomains: true,
    allowWildcards: false,
    allowIpSans: true,
    acmeRequireEab: true,
    maxTtlSeconds: 86_400,
    defaultTtlSeconds: 3_600,
    keyAlgorithm: 'ecdsa-p256',
  } as const;
  const role = await harness.pki.roles.create(caller(), 'corp', { ...terms, name: 'acme', allowAcme: true });
  await harness.pki.roles.create(caller(), 'corp', { ...terms, name: 'web', allowAcme: false });
  target = { scope: caller().principal.scope, root, role };
});
afterAll(() => harness.close());

const caller = () => harness.callerOf(harness.tenant, 'live');
const issuing = () => harness.pki.issuing;

describe('a role for ACME', () => {
  it('is found by its address alone, and only where it allows it', async () => {
    const { root, role, scope } = target;
    const found = await issuing().findAcmeRole(scope.tenantId, root.id, role.id);
    expect(found).toMatchObject({ scope, role, root: { id: root.id } });
    const roles = await harness.pki.roles.list(caller(), 'corp');
    const web = roles.find(({ name }) => name === 'web')!;
    for (const [tenantId, rootId, roleId] of [
      [scope.tenantId, root.id, web.id],
      [scope.tenantId, root.id, 'acme'],
      [scope.tenantId, role.id, role.id],
      [harness.other.id, root.id, role.id],
      ['x' as TenantId, 'y', 'z'],
    ] as const)
      expect(await issuing().findAcmeRole(tenantId, rootId, roleId)).toBeUndefined();
  });

  it('says why a name is refused', () => {
    expect(issuing().refusedName(target.role, 'a.example.internal')).toBeNull();
    expect(issuing().refusedName(target.role, 'evil.com')).toContain('"evil.com"');
    expect(issuing().refusedName(target.role, '*.example.internal')).toContain('allow_wildcards');
  });

  it('certifies no request that asks for more than was proven', async () => {
    const sign = (dns: readonly string[], csr = CSR) =>
      issuing().prepareForAcme(actorOf(caller()), target, csr, dns, 'account');
    // An address, which nobody can prove here.
    await expect(sign(NAMES)).rejects.toThrow(CsrRefused);
    await expect(sign(NAMES.slice(1))).rejects.toThrow(CsrRefused);
    await expect(sign(NAMES, Buffer.from('30'))).rejects.toThrow(CsrRefused);
    const page = { page: 1, perPage: 10, order: 'desc' } as const;
    expect((await harness.pki.certificates.list(caller(), 'corp', page)).total).toBe(0);
  });

  it('knows what it has certified when that is recorded, and revokes it once', async () => {
    const request = Buffer.from(DNS_CSR, 'base64');
    const actor = actorOf(caller());
    const prepared = await issuing().prepareForAcme(
      actor,
      target,
      request,
      ['a.example.internal'],
      'account',
    );
    const { scope, root } = target;
    const find = () => harness.authorities.findCertificate(scope, root.id, prepared.serial);
    expect(await find()).toBeUndefined();
    await harness.db.transaction(prepared.record);
    expect(await find()).toMatchObject({ acmeAccountId: 'account', role: { name: 'acme' } });
    const { subject, subjectAltName } = new X509Certificate(prepared.der);
    expect([subject, subjectAltName]).toEqual([
      'C=DE\nO=Acme\nCN=a.example.internal',
      'DNS:a.example.internal',
    ]);
    expect(prepared.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const revoke = (serial: string) => issuing().revokeForAcme(actor, { scope, root }, serial, 'superseded');
    expect(await revoke('ab12')).toBe('unknown');
    expect(await revoke(prepared.serial)).toBe('revoked');
    expect(await revoke(prepared.serial)).toBe('already');
  });
});
