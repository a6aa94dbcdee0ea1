import { afterEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../../app/migrations.js';
import type { RequestId } from '../../../kernel/ids.js';
import { systemIds } from '../../../platform/crypto/random.js';
import { createHosts } from '../../../platform/http/hosts.js';
import { createLogger } from '../../../platform/log/logger.js';
import { openDatabase } from '../../../platform/storage/open-database.js';
import { forEachDatabase, type TestDatabase } from '../../../testing/databases.js';
import {
  API,
  EXCHANGE,
  type FederationRig,
  ID_TOKEN,
  openFederationRig,
} from '../../../testing/federation-rig.js';
import { createTestServices, stopServices, type TestServices } from '../../../testing/services.js';

const PRESENTED = 10;

forEachDatabase((name, open) => {
  let rig: FederationRig;
  let further: TestServices[] = [];
  let closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const services of further) await stopServices(services);
    for (const close of closers) await close();
    [further, closers] = [[], []];
    await rig.close();
  });

  describe('one assertion', () => {
    it(`presented ${PRESENTED} times at once to each of two servers mints once`, async () => {
      let db: TestDatabase | undefined;
      rig = await openFederationRig({
        open: async (...args) => {
          db = await open(...args);
          return db;
        },
      });
      const servers: TestServices[] = [rig, await secondServer(db!)];
      await rig.bind(rig.tenant);
      const host = createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] }).resolve(
        ['host', API],
        '1.1',
      );
      const subject_token = await rig.assertion();
      const params = new Map(
        Object.entries({
          grant_type: EXCHANGE,
          subject_token,
          subject_token_type: ID_TOKEN,
          audience: 'knoxcall:api',
        }),
      );
      const exchange = ({ oauth }: TestServices) =>
        oauth.tokenEndpoint.answer(
          {
            method: 'POST',
            rawHeaders: [],
            host,
            origin: 'http://api.localhost:8787',
            path: '/oauth/token',
            params,
            requestId: systemIds.uuid() as RequestId,
            ip: '127.0.0.1',
          },
          'management',
        );
      const outcomes = await Promise.allSettled(
        Array.from({ length: PRESENTED }, () => servers.map(exchange)).flat(),
      );
      const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
      expect(refused).toEqual(Array(2 * PRESENTED - 1).fill('invalid_grant'));
      expect((await rig.audits('oidc.exchange')).length).toBe(1);
      expect((await rig.audits('oauth.token.mint')).length).toBe(1);
    });
  });

  /** Another process of the installation: its own connections where the database has such, and nothing else in common. */
  async function secondServer({ storage }: TestDatabase): Promise<TestServices> {
    const db =
      name === 'postgres'
        ? await openDatabase(storage, { migrations: MIGRATIONS, clock: rig.clock })
        : rig.db;
    if (db !== rig.db) closers.push(() => db.close());
    const logger = createLogger('error', { write: () => {} });
    const services = createTestServices({ db, clock: rig.clock, logger, egress: rig.issuers.egress });
    await services.generations.start();
    further.push(services);
    return services;
  }
});
