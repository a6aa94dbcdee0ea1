import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../../kernel/ids.js';
import type { PresentedCertificate, RequestSource } from '../../../platform/http/request-source.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { createTestServices, stopServices } from '../../../testing/services.js';
import type { Credential } from '../credentials/store.js';
import type { NewClient } from '../service.js';
import type { Client } from '../store.js';
import type { Among, ClientMatcher } from './service.js';

const NEW: NewClient = {
  name: 'n',
  type: 'server',
  ipAddress: '',
  ipNotes: {},
  description: null,
  signingSecretId: null,
};
const ROUTE = 'cccccccc-0000-4000-8000-000000000001';
const PRODUCTION = { routeId: ROUTE, environment: 'production' };
const STAGING = { routeId: ROUTE, environment: 'staging' };

const from = (address: string, certificate: Partial<PresentedCertificate> | null = null): RequestSource => ({
  address,
  certificate: certificate && { sha256Thumbprint: '', notBeforeMs: null, notAfterMs: null, ...certificate },
});

forEachDatabase((_name, open) => {
  let harness: Harness;
  let live: Scope;
  /** Each case has an address range of its own: `10.<case>.…`. */
  let net = 0;
  beforeAll(async () => {
    harness = await createHarness({ open });
    live = { tenantId: harness.tenant.id, sandbox: false };
  });
  afterAll(() => harness.close());
  beforeEach(() => {
    net += 1;
  });

  const caller = (mode: 'live' | 'test' = 'live') => harness.callerOf(harness.tenant, mode);
  const clients = () => harness.clients;
  const make = (input: Partial<NewClient> = {}, mode: 'live' | 'test' = 'live'): Promise<Client> =>
    clients().create(caller(mode), { ...NEW, ...input });
  const addIp = async (client: Client, value: string): Promise<Credential> => {
    const evidence = { kind: 'ip', value } as const;
    return (await clients().credentials.create(caller(), client.id, { evidence, label: null })).credential;
  };
  const register = async (client: Client, sha256Thumbprint: string): Promise<Credential> => {
    const evidence = { kind: 'mtls_thumbprint', sha256Thumbprint, issued: null } as const;
    return (await clients().credentials.create(caller(), client.id, { evidence, label: null })).credential;
  };
  const issue = async (client: Client) =>
    (await clients().credentials.create(caller(), client.id, { evidence: 'issue', label: null })).credential;
  const thumbprintOf = ({ evidence }: Credential) =>
    evidence.kind === 'mtls_thumbprint' ? evidence.sha256Thumbprint : '';
  const freshThumbprint = () => net.toString(16).padStart(64, 'a');
  const credentialOf = async (
    source: RequestSource,
    among: Among = 'all',
    matcher: ClientMatcher = clients().matcher,
    scope: Scope = live,
  ) => (await matcher.match(scope, source, among))?.credentialId;
  const own = async (client: Client) => (await clients().credentials.list(caller(), client.id))[0]!;

  describe('an address', () => {
    it('is its client’s by the longest prefix, and of equal ones by the oldest', async () => {
      const wide = await make({ name: 'wide', ipAddress: `10.${net}.0.0/16` });
      const old = await make({ name: 'old', ipAddress: `10.${net}.1.0/24` });
      const young = await make({ name: 'young', ipAddress: `10.${net}.1.99/24` });
      const one = await addIp(young, `10.${net}.1.7`);
      expect(await clients().matcher.match(live, from(`10.${net}.1.7`), 'all')).toEqual({
        clientId: young.id,
        clientName: 'young',
        credentialId: one.id,
        kind: 'ip',
        signingSecretId: null,
      });
      expect(await credentialOf(from(`10.${net}.1.0`))).toBe((await own(old)).id);
      expect(await credentialOf(from(`10.${net}.2.0`))).toBe((await own(wide)).id);
      expect(await credentialOf(from(`10.${net}.255.255`))).toBe((await own(wide)).id);
      expect(await credentialOf(from(`::ffff:10.${net}.1.7`))).toBe(one.id);
      await clients().update(caller(), old.id, { enabled: false });
      expect(await credentialOf(from(`10.${net}.1.0`))).toBe((await own(young)).id);
    });

    it('of IPv6 is found likewise, and one that is none is nobody’s', async () => {
      const client = await make({ ipAddress: `2001:db8:${net}::/48` });
      expect(await credentialOf(from(`2001:db8:${net}:ffff::1`))).toBe((await own(client)).id);
      for (const address of [`2001:db8:${net + 100}::1`, '', 'unknown', '::'])
        expect([address, await credentialOf(from(address))]).toEqual([address, undefined]);
    });

    it('is a client’s in its own mode and tenant alone', async () => {
      const address = `10.${net}.0.1`;
      const inLive = await make({ ipAddress: address });
      const inTest = await make({ ipAddress: address }, 'test');
      const { matcher } = clients();
      const at = async (scope: Scope) => (await matcher.match(scope, from(address), 'all'))?.clientId;
      expect(await at(live)).toBe(inLive.id);
      expect(await at({ ...live, sandbox: true })).toBe(inTest.id);
      expect(await at({ tenantId: harness.other.id, sandbox: false })).toBeUndefined();
    });
  });

  describe('a certificate', () => {
    it('is its client’s by the thumbprint, before the address', async () => {
      const byAddress = await make({ ipAddress: `10.${net}.0.1` });
      const client = await make({ name: 'by certificate' });
      const sha256Thumbprint = freshThumbprint();
      const credential = await register(client, sha256Thumbprint);
      const source = from(`10.${net}.0.1`, { sha256Thumbprint });
      expect(await clients().matcher.match(live, source, 'all')).toEqual({
        clientId: client.id,
        clientName: 'by certificate',
        credentialId: credential.id,
        kind: 'mtls_thumbprint',
        signingSecretId: null,
      });
      await clients().credentials.update(caller(), client.id, credential.id, { enabled: false });
      expect(await credentialOf(source)).toBe((await own(byAddress)).id);
    });

    it('is nobody’s before it begins, once it has ended, and once its credential has expired', async () => {
      const client = await make();
      const registered = freshThumbprint();
      const credential = await register(client, registered);
      const nowMs = harness.clock.nowMs();
      const at = (times: Partial<PresentedCertificate>) =>
        credentialOf(from('', { sha256Thumbprint: registered, ...times }));
      expect(await at({})).toBe(credential.id);
      expect(await at({ notBeforeMs: nowMs, notAfterMs: nowMs })).toBe(credential.id);
      expect(await at({ notBeforeMs: nowMs + 1 })).toBeUndefined();
      expect(await at({ notAfterMs: nowMs - 1 })).toBeUndefined();
    });

    it('that was issued ends with its credential, whatever is presented says', async () => {
      const late = await createHarness({ open });
      const scope = { tenantId: late.tenant.id, sandbox: false };
      const by = late.callerOf(late.tenant, 'live');
      const client = await late.clients.create(by, NEW);
      const input = { evidence: 'issue', label: null } as const;
      const { credential } = await late.clients.credentials.create(by, client.id, input);
      const source = from('', { sha256Thumbprint: thumbprintOf(credential) });
      late.clock.advance(credential.expiresAtMs! - 1 - late.clock.nowMs());
      expect(await credentialOf(source, 'all', late.clients.matcher, scope)).toBe(credential.id);
      late.clock.advance(1);
      expect(await credentialOf(source, 'all', late.clients.matcher, scope)).toBeUndefined();
      await late.close();
    });
  });

  describe('a denial', () => {
    it('bites at once, whatever is switched off, deleted or unassigned', async () => {
      const client = await make({ ipAddress: `10.${net}.0.1` });
      const issued = await issue(client);
      const byCertificate = from('', { sha256Thumbprint: thumbprintOf(issued) });
      const byAddress = from(`10.${net}.0.1`);
      const { credentials, assignments } = clients();
      await assignments.assign(caller(), PRODUCTION, client.id);
      expect(await credentialOf(byCertificate, PRODUCTION)).toBe(issued.id);
      await credentials.update(caller(), client.id, issued.id, { enabled: false });
      expect(await credentialOf(byCertificate)).toBeUndefined();
      // Off blocks, and can be undone.
      await credentials.update(caller(), client.id, issued.id, { enabled: true });
      expect(await credentialOf(byCertificate)).toBe(issued.id);
      await credentials.delete(caller(), client.id, issued.id);
      expect(await credentialOf(byCertificate)).toBeUndefined();
      expect(await credentialOf(byAddress, PRODUCTION)).toBe((await own(client)).id);
      await assignments.unassign(caller(), PRODUCTION, client.id);
      expect(await credentialOf(byAddress, PRODUCTION)).toBeUndefined();
      await clients().update(caller(), client.id, { enabled: false });
      expect(await credentialOf(byAddress)).toBeUndefined();
      await clients().update(caller(), client.id, { enabled: true });
      expect(await credentialOf(byAddress)).toBe((await own(client)).id);
      await clients().update(caller(), client.id, { ipAddress: '' });
      expect(await credentialOf(byAddress)).toBeUndefined();
      await clients().update(caller(), client.id, { ipAddress: `10.${net}.0.1` });
      await clients().delete(caller(), client.id);
      expect(await credentialOf(byAddress)).toBeUndefined();
    });

    it('bites in another process within half a second', async () => {
      const { db, clock, logger } = harness;
      const client = await make({ ipAddress: `10.${net}.0.1` });
      const elsewhere = createTestServices({ db, clock, logger });
      await elsewhere.generations.start();
      const there = () => credentialOf(from(`10.${net}.0.1`), 'all', elsewhere.clients.matcher);
      const { id } = await own(client);
      expect(await there()).toBe(id);
      await clients().credentials.delete(caller(), client.id, id);
      expect(await there()).toBe(id);
      clock.advance(500);
      // Ends when the poll that is under way has been read.
      await elsewhere.generations.stop();
      expect(await there()).toBeUndefined();
      await stopServices(elsewhere);
      await harness.advance(500);
    });
  });

  describe('clients of a route', () => {
    it('are those that are assigned in that environment', async () => {
      const client = await make({ ipAddress: `10.${net}.0.0/16` });
      const other = await make({ ipAddress: `10.${net}.1.0/24` });
      const source = from(`10.${net}.1.1`);
      expect(await credentialOf(source, PRODUCTION)).toBeUndefined();
      await clients().assignments.assign(caller(), PRODUCTION, client.id);
      // A longer prefix of a client that is not assigned is in nobody's way.
      expect(await credentialOf(source, PRODUCTION)).toBe((await own(client)).id);
      expect(await credentialOf(source, STAGING)).toBeUndefined();
      expect(await credentialOf(source)).toBe((await own(other)).id);
    });

    it('or a refusal that says which of the two it is, and names address and certificate', async () => {
      await make({ ipAddress: `10.${net}.0.1` });
      const refusal = (address: string, certificate: Partial<PresentedCertificate> | null = null) =>
        Promise.resolve()
          .then(() => clients().matcher.requireMatch(live, from(address, certificate), STAGING))
          .catch((error: unknown) => error);
      expect(await refusal(`10.${net}.0.1`)).toMatchObject({
        type: 'client_not_authorized',
        status: 403,
        publicMessage: 'IP address not authorized for this route',
        extra: { ip: `10.${net}.0.1`, certificate_sha256: null },
      });
      const unknown = { sha256Thumbprint: freshThumbprint() };
      expect(await refusal('192.0.2.1', unknown)).toMatchObject({
        publicMessage: 'Client authorization required but IP not found',
        extra: { ip: '192.0.2.1', certificate_sha256: unknown.sha256Thumbprint },
      });
    });
  });

  describe('a match', () => {
    it('is written once a minute, off the request', async () => {
      const client = await make({ ipAddress: `10.${net}.0.1` });
      const lastMatched = async () => (await own(client)).lastMatchedAtMs;
      // What the cases before have left to be written.
      await clients().stop();
      const first = harness.clock.nowMs();
      await credentialOf(from(`10.${net}.0.1`));
      expect(await lastMatched()).toBeNull();
      await harness.advance(59_000);
      expect(await lastMatched()).toBeNull();
      await credentialOf(from(`10.${net}.0.1`));
      await harness.advance(1_000);
      await clients().stop();
      expect(await lastMatched()).toBe(first + 59_000);
      const { updatedAtMs } = await own(client);
      expect(updatedAtMs).toBe(first);
      await clients().update(caller(), client.id, { ipAddress: `10.${net}.0.2` });
      expect(await lastMatched()).toBeNull();
    });

    it('is answered at once while nothing changes', async () => {
      const client = await make({ ipAddress: `10.${net}.0.1` });
      const { matcher } = clients();
      await matcher.match(live, from(''), 'all');
      expect(matcher.match(live, from(`10.${net}.0.1`), 'all')).toMatchObject({ clientId: client.id });
      expect(matcher.match(live, from('192.0.2.1'), 'all')).toBeNull();
      await clients().update(caller(), client.id, { description: 'of no matter to it' });
      expect(matcher.match(live, from(`10.${net}.0.1`), 'all')).toMatchObject({ clientId: client.id });
    });

    it('is found in a tenant of more rows than are read at once', async () => {
      const many = Array.from({ length: 45 }, () => make());
      const made = await Promise.all(many);
      for (const [n, client] of made.entries())
        for (let i = 0; i < 50; i++) await addIp(client, `172.16.${n}.${i}`);
      expect(await credentialOf(from('172.16.0.0'))).toBeDefined();
      for (const [n, client] of made.entries())
        expect(await clients().matcher.match(live, from(`172.16.${n}.49`), 'all')).toMatchObject({
          clientId: client.id,
        });
      expect(await credentialOf(from('172.16.44.50'))).toBeUndefined();
    }, 120_000);
  });
});
