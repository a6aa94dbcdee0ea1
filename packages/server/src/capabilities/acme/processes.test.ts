import * as acme from 'acme-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { thumbprintOf } from '../../platform/crypto/jwk.js';
import { createLogger } from '../../platform/log/logger.js';
import { type AcmeRig, openAcmeRig, RawAcmeClient, type RigRole } from '../../testing/acme-rig.js';
import { forEachDatabase } from '../../testing/databases.js';
import { turns, until } from '../../testing/egress-rig.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createTestServices, stopServices, type TestServices } from '../../testing/services.js';
import { acmeJobs } from './jobs.js';
import { createOrderStore } from './order-store.js';

const LEASE_MS = 15_000;
const NAME = 'a.example.com';

const scopeOf = ({ directoryUrl }: RigRole) => ({
  tenantId: new URL(directoryUrl).pathname.split('/')[2] as TenantId,
  sandbox: false,
});

/** Two servers on one database. The clock of the one stands still from where it dies: it renews no lease any longer. */
forEachDatabase((_name, open) => {
  let rig: AcmeRig;
  let role: RigRole;
  let clock: ManualClock;
  let second: TestServices;

  beforeAll(async () => {
    rig = await openAcmeRig({ open });
    role = await rig.role();
    rig.dns.set(NAME, ['127.0.0.1']);
    clock = createManualClock(rig.installation.clock.nowMs());
    const { db, dns, http01Port } = rig;
    const logger = createLogger('error', { write: () => {} });
    const validation = { targets: '127.0.0.1/32', http01Port, dnsServers: [dns] };
    second = createTestServices({ db, clock, logger, validation });
  });
  afterAll(async () => {
    await second.jobs.stop(1_000);
    await stopServices(second);
    await rig.close();
  });

  async function begun() {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const order = await client.newOrder(NAME);
    const [authorization] = await client.authorizations(order);
    const { url, token } = authorization!.json.challenges[0];
    rig.pages.set(token, `${token}.${thumbprintOf(client.signer.jwk as never)}`);
    return { client, order, url, token };
  }

  async function whileTimePasses<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    await until(() => {
      if (!isOver) rig.installation.clock.advance(10);
      return isOver;
    });
    return promise;
  }

  it('what one was asking when it died the other asks again, and the answer of the dead one counts for nothing', async () => {
    const { client, order, url, token } = await begun();
    let release = () => {};
    rig.held = new Promise((resolve) => {
      release = resolve;
    });
    expect((await client.post(url, {})).json.status).toBe('processing');
    await until(() => rig.asked.includes(token));
    rig.held = null;

    clock.advance(LEASE_MS + 1);
    await second.jobs.start(acmeJobs(second.acme));
    await second.jobs.idle();
    expect(rig.asked.filter((one) => one === token)).toHaveLength(2);
    const after = await client.post(order.headers.get('location')!);
    expect(after.json.status).toBe('ready');

    // The dead one was only slow, and finds another page by now.
    rig.pages.set(token, 'not this');
    release();
    await rig.installation.services.jobs.idle();
    expect((await client.post(url)).json).toMatchObject({ status: 'valid', validated: expect.any(String) });
    expect((await client.post(order.headers.get('location')!)).json.status).toBe('ready');
  });

  it('what one was told to certify the other certifies, and the client asks for it', async () => {
    const { client, order, url } = await begun();
    await client.post(url, {});
    await rig.installation.services.jobs.idle();
    await second.jobs.idle();
    await rig.installation.services.jobs.stop(1_000);
    const [, csr] = await acme.crypto.createCsr(
      { altNames: [NAME] },
      await acme.crypto.createPrivateEcdsaKey(),
    );
    const finalize = client.post(order.json.finalize, { csr: acme.crypto.getPemBodyAsB64u(csr) });
    const store = createOrderStore(rig.db);
    const [scope, id] = [scopeOf(role), order.headers.get('location')!.split('/').at(-1)!];
    // No transaction is open for longer than a second, whatever clock says so.
    while ((await store.findOrder(scope, id))?.status !== 'processing') await turns(10);
    const answer = await whileTimePasses(finalize);
    expect([answer.json.status, answer.headers.get('retry-after')]).toEqual(['processing', '1']);
    const location = answer.headers.get('location')!;
    expect(location).toBe(order.headers.get('location'));
    clock.advance(1_000);
    await second.jobs.idle();
    expect((await client.post(location)).json).toMatchObject({ status: 'valid' });
  });
});
