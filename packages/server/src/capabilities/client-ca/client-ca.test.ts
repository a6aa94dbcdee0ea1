import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobDefinitions } from '../../app/jobs.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { forEachDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { openPkiTools, type PkiTools, withOpenssl } from '../../testing/pki-tools.js';
import { createTestServices, stopServices } from '../../testing/services.js';
import type { Authorities } from '../authorities/index.js';
import { kmsTables } from '../kms/index.js';
import type { ClientCa } from './index.js';

const DAY = 86_400_000;
const CLIENT = { id: 'cccccccc-0000-4000-8000-000000000001', name: 'build server' };
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n/g;
const LIST = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----\n/g;

forEachDatabase((_name, open) => {
  let harness: Harness;
  let ca: ClientCa;
  let authorities: Authorities;
  let live: Scope;
  let test: Scope;
  beforeEach(async () => {
    harness = await createHarness({ open });
    ca = harness.clientCa;
    authorities = harness.authorities;
    live = { tenantId: harness.tenant.id, sandbox: false };
    test = { ...live, sandbox: true };
  });
  afterEach(() => harness.close());

  async function issue(scope = live, client = CLIENT) {
    const prepared = await ca.prepare(scope, client);
    await harness.db.transaction((tx) => prepared.record(tx));
    return prepared;
  }
  const revoke = (serials: string[], scope = live) =>
    harness.db.transaction((tx) => ca.revoke(tx, scope, serials, 'cessation_of_operation'));
  const listsOf = async (scope = live) => (await authorities.listsPem(scope, '_clients')).match(LIST)!;
  const certificatesOf = (text: string) => text.match(CERTIFICATE)!.map((one) => new X509Certificate(one));
  const rootsOf = async (scope = live) => certificatesOf(await authorities.rootsPem(scope, '_clients'));
  /** Serials in DER are whole: a list that has one holds its bytes. */
  const holds = (listPem: string, serial: string) =>
    Buffer.from(listPem.replace(/-----.*-----/g, ''), 'base64').includes(Buffer.from(serial, 'hex'));
  const numberOf = (listPem: string) => {
    const hex = Buffer.from(listPem.replace(/-----.*-----/g, ''), 'base64').toString('hex');
    return Number.parseInt(/0603551d1404030201(..)/.exec(hex)![1]!, 16);
  };
  const auditedAs = async (action: string, mode: 'live' | 'test' = 'live') => {
    const answer = await harness.call('GET', `/v1/audit-logs?action=${action}`, {
      key: harness.tenant[mode],
    });
    return answer.json['data'] as { resource_type: string; details: Record<string, unknown> }[];
  };

  describe('a certificate of a client', () => {
    it('says whose it is, for a year, and goes with its key', async () => {
      const nowMs = harness.clock.nowMs();
      const prepared = await issue();
      const certificate = new X509Certificate(prepared.certificatePem);
      expect(prepared.subject).toBe('CN=build server');
      expect(certificate.subject).toBe('CN=build server');
      expect(certificate.subjectAltName).toBe(`URI:urn:knoxcall:client:${CLIENT.id}`);
      expect(prepared.serial).toMatch(/^[4-7][0-9a-f]{31}$/);
      expect(certificate.serialNumber.toLowerCase()).toBe(prepared.serial);
      expect(certificate.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(prepared.sha256Thumbprint);
      expect(prepared.notAfterMs).toBe(nowMs + 365 * DAY);
      expect(prepared.notBeforeMs).toBe(nowMs - 60_000);
      expect([Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]).toEqual([
        prepared.notBeforeMs,
        prepared.notAfterMs,
      ]);
      const key = prepared.privateKeyPem.reveal();
      expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
      expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
      expect(`${prepared.privateKeyPem}${JSON.stringify(prepared)}`).not.toContain('PRIVATE KEY');
      const [issuing, root] = certificatesOf(prepared.caChainPem);
      expect(certificate.verify(issuing!.publicKey) && issuing!.verify(root!.publicKey)).toBe(true);
      expect(root!.verify(root!.publicKey)).toBe(true);
      expect(Date.parse(issuing!.validTo)).toBe(nowMs + 1_095 * DAY);
      expect(Date.parse(root!.validTo)).toBe(nowMs + 3_650 * DAY);
      // Without KNOX_PUBLIC_URL it names no address.
      expect(certificate.infoAccess).toBeUndefined();
    });

    it('has the id in place of a name that cannot stand there', async () => {
      for (const name of ['', 'x'.repeat(65), 'a\nb', 'a\u202eb']) {
        const { subject } = await ca.prepare(live, { ...CLIENT, name });
        expect(subject).toBe(`CN=${CLIENT.id}`);
      }
      expect((await ca.prepare(live, { ...CLIENT, name: '🔑'.repeat(64) })).subject).toHaveLength(3 + 128);
    });

    it('is unknown until it is recorded', async () => {
      const prepared = await ca.prepare(live, CLIENT);
      expect(await revoke([prepared.serial])).toBe(0);
      await harness.db.transaction((tx) => prepared.record(tx));
      expect(await revoke([prepared.serial])).toBe(1);
    });

    it('is one of its kind among 50 that are issued at once, by one chain', async () => {
      const prepared = await Promise.all(Array.from({ length: 50 }, () => issue()));
      expect(new Set(prepared.map(({ serial }) => serial)).size).toBe(50);
      expect(new Set(prepared.map(({ sha256Thumbprint }) => sha256Thumbprint)).size).toBe(50);
      expect(new Set(prepared.map(({ caChainPem }) => caChainPem)).size).toBe(1);
      expect(await revoke(prepared.map(({ serial }) => serial))).toBe(50);
      const created = await auditedAs('pki.root.create');
      expect(created).toHaveLength(1);
      expect(created[0]).toMatchObject({ resource_type: 'pki_root', details: { name: '_clients' } });
      expect(await auditedAs('pki.intermediate.rotate')).toHaveLength(1);
    });

    it('is of one tenant and mode', async () => {
      const other = { tenantId: harness.other.id, sandbox: false };
      const { serial } = await issue(live);
      await issue(test);
      await issue(other);
      const roots = await Promise.all([rootsOf(live), rootsOf(test), rootsOf(other)]);
      expect(new Set(roots.map(([root]) => root!.fingerprint256)).size).toBe(3);
      expect(new Set(roots.map(([root]) => root!.subject)).size).toBe(3);
      expect([await revoke([serial], test), await revoke([serial], other)]).toEqual([0, 0]);
      expect(await revoke([serial], live)).toBe(1);
      for (const scope of [test, other]) expect(holds((await listsOf(scope))[0]!, serial)).toBe(false);
    });
  });

  describe('a revocation', () => {
    it('is on the next list that is read, whose number is higher; a second one changes nothing', async () => {
      const [one, two] = [await issue(), await issue()];
      const [before] = await listsOf();
      expect(await revoke([one.serial.toUpperCase(), 'ab12'])).toBe(1);
      const [list, ofRoot] = await listsOf();
      expect([holds(before!, one.serial), holds(list!, one.serial), holds(list!, two.serial)]).toEqual([
        false,
        true,
        false,
      ]);
      expect([numberOf(before!), numberOf(list!), numberOf(ofRoot!)]).toEqual([1, 2, 1]);
      expect(await revoke([one.serial])).toBe(0);
      expect(await listsOf()).toEqual([list, ofRoot]);
      expect(await revoke([])).toBe(0);
    });

    it('that is rolled back is none', async () => {
      const { serial } = await issue();
      await expect(
        harness.db.transaction(async (tx) => {
          await ca.revoke(tx, live, [serial], 'superseded');
          throw new Error('changed its mind');
        }),
      ).rejects.toThrow('changed its mind');
      expect(holds((await listsOf())[0]!, serial)).toBe(false);
    });

    it('is on the list whoever reads at once, by numbers that never repeat', async () => {
      const issued = await Promise.all(Array.from({ length: 10 }, () => issue()));
      const lists = await Promise.all(
        issued.map(async ({ serial }) => {
          await revoke([serial]);
          const [list] = await listsOf();
          expect(holds(list!, serial)).toBe(true);
          return list!;
        }),
      );
      const byNumber = new Map(lists.map((list) => [numberOf(list), list]));
      for (const list of lists) expect(byNumber.get(numberOf(list))).toBe(list);
      expect(numberOf((await listsOf())[0]!)).toBe(Math.max(...byNumber.keys()));
    });

    it('stays on the list until one past the end of the certificate', async () => {
      const { serial } = await issue();
      await revoke([serial]);
      await listsOf();
      const nextList = async (ms: number) => {
        harness.clock.advance(ms);
        await authorities.upkeep('', 50);
        return holds((await listsOf())[0]!, serial);
      };
      expect(await nextList(364 * DAY)).toBe(true);
      expect(await nextList(4 * DAY)).toBe(true);
      expect(await nextList(4 * DAY)).toBe(false);
      expect(await authorities.removeEnded(500)).toBe(0);
      harness.clock.advance(90 * DAY);
      expect(await authorities.removeEnded(500)).toBe(1);
    });
  });

  describe('upkeep', () => {
    it('signs lists anew when they are half over, and those that are owed', async () => {
      const { serial } = await issue();
      expect(await authorities.upkeep('', 50)).toEqual({ rows: 0, nextId: null });
      harness.clock.advance(3.5 * DAY - 1);
      expect(await authorities.upkeep('', 50)).toEqual({ rows: 0, nextId: null });
      harness.clock.advance(1);
      // Of the issuing authority and of the root, one at a time.
      const first = await authorities.upkeep('', 1);
      const second = await authorities.upkeep(first.nextId!, 1);
      expect(await authorities.upkeep(second.nextId!, 1)).toEqual({ rows: 0, nextId: null });
      expect((await listsOf()).map(numberOf)).toEqual([2, 2]);
      await revoke([serial]);
      expect(await authorities.upkeep('', 50)).toEqual({ rows: 1, nextId: null });
      expect((await listsOf()).map(numberOf)).toEqual([3, 2]);
    });

    it('is woken by a revocation', async () => {
      await harness.jobs.start(jobDefinitions(harness));
      const { serial } = await issue();
      await harness.jobs.idle();
      await revoke([serial]);
      harness.clock.advance(1_000);
      await harness.jobs.idle();
      expect(await authorities.upkeep('', 50)).toEqual({ rows: 0, nextId: null });
      expect((await listsOf()).map(numberOf)).toEqual([2, 1]);
      await harness.jobs.stop(1_000);
    });

    it('renews the issuing authority while a year and more is left, and its root in time', async () => {
      const first = await issue();
      await revoke([first.serial]);
      harness.clock.advance(695 * DAY);
      await authorities.upkeep('', 50);
      expect((await issue()).caChainPem).toBe(first.caChainPem);
      harness.clock.advance(1);
      expect((await authorities.upkeep('', 50)).rows).toBe(1);
      const second = await issue();
      const [issuing, root] = certificatesOf(second.caChainPem);
      expect(issuing!.fingerprint256).not.toBe(certificatesOf(first.caChainPem)[0]!.fingerprint256);
      expect([root!.fingerprint256]).toEqual((await rootsOf()).map(({ fingerprint256 }) => fingerprint256));
      expect(Date.parse(issuing!.validTo)).toBeGreaterThan(second.notAfterMs);
      // The one before signs its own list still; the active one's comes first, the root's last.
      await revoke([second.serial]);
      const lists = await listsOf();
      expect(lists.map((list) => holds(list, second.serial))).toEqual([true, false, false]);

      for (let lived = 695; lived < 3_300; lived += 300) {
        harness.clock.advance(300 * DAY);
        await issue();
      }
      const roots = await rootsOf();
      expect(roots).toHaveLength(2);
      expect(roots[1]!.fingerprint256).toBe(root!.fingerprint256);
      expect(roots[0]!.subject).not.toBe(root!.subject);
      expect(
        (await authorities.listRoots(live))
          .filter(({ status }) => status === 'active')
          .map(({ notAfterMs }) => notAfterMs),
      ).toEqual([Date.parse(roots[0]!.validTo)]);
    });
  });

  describe('two processes', () => {
    it('make one chain, and lists of which each follows the other', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const both = [harness, services];
      const prepared = await Promise.all(both.map(({ clientCa }) => clientCa.prepare(live, CLIENT)));
      expect(prepared[1]!.caChainPem).toBe(prepared[0]!.caChainPem);
      expect(await auditedAs('pki.root.create')).toHaveLength(1);

      const numbers = new Map<number, string>();
      for (let turn = 0; turn < 5; turn += 1) {
        const { serial } = await issue();
        await revoke([serial]);
        const lists = await Promise.all(both.map((one) => one.authorities.listsPem(live, '_clients')));
        for (const [list] of lists.map((text) => text.match(LIST)!)) {
          expect(holds(list!, serial)).toBe(true);
          expect(numbers.get(numberOf(list!)) ?? list).toBe(list);
          numbers.set(numberOf(list!), list!);
        }
      }
      expect(Math.max(...numbers.keys())).toBeGreaterThanOrEqual(6);
      await stopServices(services);
    });
  });

  describe('a sealed tenant', () => {
    it('gets no certificate and no new list, and keeps the list that says all there is', async () => {
      const { serial } = await issue();
      await harness.db
        .view(kmsTables)
        .scoped({ tenantId: harness.tenant.id })
        .updateTable('tenant_master_keys')
        .set({ status: 'revoked', wrapped: null })
        .execute();
      harness.clock.advance(LIMITS.tenantKeyCacheMs);
      await expect(ca.prepare(live, CLIENT)).rejects.toMatchObject({ type: 'tenant_sealed' });
      await expect(ca.prepare(test, CLIENT)).rejects.toMatchObject({ type: 'tenant_sealed' });
      expect((await listsOf()).map(numberOf)).toEqual([1, 1]);
      await revoke([serial]);
      await expect(authorities.listsPem(live, '_clients')).rejects.toMatchObject({ type: 'tenant_sealed' });
      expect(await authorities.upkeep('', 50)).toEqual({ rows: 1, nextId: null });
      expect(harness.logLines.join('')).toContain('the revocation list of a sealed tenant is not renewed');
    });
  });

  withOpenssl(() => {
    let tools: PkiTools;
    beforeEach(() => {
      tools = openPkiTools();
    });
    afterEach(() => tools.close());

    it('a certificate is valid until it is revoked', async () => {
      const [good, bad] = [await issue(), await issue()];
      await revoke([bad.serial]);
      const lists = tools.file('lists.pem', await authorities.listsPem(live, '_clients'));
      const atSeconds = String(harness.clock.nowMs() / 1_000 + 1);
      const verify = async ({ certificatePem, caChainPem }: typeof good, ...more: string[]) => {
        const answer = await tools.openssl(
          'verify',
          '-x509_strict',
          '-crl_check_all',
          ...['-purpose', 'sslclient', '-attime', atSeconds, '-CRLfile', lists],
          ...['-CAfile', tools.file('root.pem', await authorities.rootsPem(live, '_clients'))],
          ...['-untrusted', tools.file('chain.pem', caChainPem)],
          ...more,
          tools.file('leaf.pem', certificatePem),
        );
        return answer.text;
      };
      expect(await verify(good)).toContain('leaf.pem: OK');
      expect(await verify(bad)).toContain('error 23 at 0 depth lookup: certificate revoked');
      const foreign = await issue(test);
      expect(await verify(foreign)).toContain('error 19 at 2 depth lookup: self-signed certificate');
      const late = String(good.notAfterMs / 1_000 + 1);
      expect(await verify(good, '-attime', late)).toContain('certificate has expired');
    });
  });
});
