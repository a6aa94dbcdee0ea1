import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSealedContents } from '../capabilities/inbound-webhooks/deliveries/content.js';
import { createInboundDeliveryStore } from '../capabilities/inbound-webhooks/deliveries/store.js';
import { boundTableOf } from '../capabilities/kms/envelope-columns.js';
import type { RequestId } from '../kernel/ids.js';
import { type EnvelopePlace, envelopeVersion } from '../platform/crypto/envelope-cipher.js';
import type { Database } from '../platform/storage/database.js';
import { createHarness, type Harness } from '../testing/harness.js';
import { MEMORY_PASSWORD } from '../testing/memory-databases.js';
import { jobDefinitions } from './jobs.js';
import { ENVELOPE_COLUMNS } from './migrations.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

async function create(path: string, body: object, headers: Record<string, string> = {}) {
  const answer = await harness.call('POST', path, { key: harness.tenant.live, body, headers });
  expect(answer.status, path).toBeLessThan(300);
  return answer.json['data'];
}

interface Stored {
  readonly registered: string;
  readonly place: EnvelopePlace;
  readonly envelope: Buffer;
}

const scope = () => ({ tenantId: harness.tenant.id, sandbox: false });

async function storedEnvelopes(): Promise<Stored[]> {
  const found: Stored[] = [];
  for (const registered of ENVELOPE_COLUMNS) {
    const { table, idColumn, column } = registered;
    const db: Database = harness.db;
    const rows = await db
      .view<Record<string, Record<string, string | Buffer | null>>>({ [table]: { scope: 'tenant+mode' } })
      .scoped(scope())
      .selectFrom(table)
      .select([idColumn, column])
      .orderBy(idColumn)
      .execute();
    for (const row of rows) {
      const envelope = row[column];
      const place = {
        tenantId: harness.tenant.id,
        mode: 'live',
        table: boundTableOf(registered),
        rowId: String(row[idColumn]),
        column,
      };
      if (Buffer.isBuffer(envelope))
        found.push({ registered: `${table}.${column}`, place: { ...place, mode: 'live' }, envelope });
    }
  }
  return found;
}

const opened = (stored: readonly Stored[]) =>
  Promise.all(stored.map(({ place, envelope }) => harness.kms.open(place, envelope)));

/** A request of somebody that waits for a route. */
async function keepInbound(webhookId: string): Promise<void> {
  const { db, kms, clock } = harness;
  const id = harness.ids.uuid();
  const nowMs = clock.nowMs();
  const content = { query: '', headers: [], via: '', body: Buffer.from('signed') };
  const contentEnvelope = await createSealedContents(kms).seal(scope(), id, content);
  const delivery = {
    id,
    scope: scope(),
    webhookId,
    state: 'dead',
    dueAtMs: null,
    attempts: 4,
    method: 'POST',
    bytes: 6,
    sourceIp: null,
    lastStatus: 500,
    lastError: null,
    lastRequestId: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  } as const;
  await db.transaction((tx) => createInboundDeliveryStore(db).insert(tx, delivery, { contentEnvelope }));
}

it('reaches each registered column of each capability, whose values are then read as before', async () => {
  const { id: vault } = await create('/v1/vaults', { name: 'cards', token_format: 'generic' });
  const once = { 'x-idempotency-key': 'once' };
  const tokens = `/v1/vaults/${vault}/tokens`;
  const first = await create(tokens, { value: 'the value' }, once);
  const client = await create('/v1/clients', { name: 'caller' });
  await harness.clientCa.prepare(scope(), client);
  await create('/v1/pki/roots', { name: 'corp' });
  await create('/v1/pki/roots/corp/roles', { role_name: 'web', allow_acme: true });
  await create('/v1/pki/roots/corp/roles/web/acme-keys', {});
  await create('/v1/secrets', { name: 'API_KEY', value: 'the value' });
  await create('/v1/egress/servers', {
    name: 'out',
    kind: 'socks5',
    address: 'proxy.example.com',
    port: 1080,
    username: 'user',
    password: 'canary',
  });
  await create('/v1/webhooks', {
    name: 'orders',
    url: 'https://hooks.example.com/',
    event_types: ['audit.event'],
    auth_type: 'bearer',
    auth_config: { token: 'receiver-token' },
    request_headers: { 'X-Environment': 'live' },
  });
  const { id: inbound } = await create('/v1/inbound-webhooks', {
    name: 'payments',
    format: 'stripe',
    secret: 'whsec_of-some-sender',
    target_url: 'https://orders.example.com/',
  });
  await harness.call('POST', '/admin/alerts', {
    token: await harness.signIn(harness.tenant.ownerEmail),
    body: {
      name: 'errors',
      type: 'unauthorized_client',
      condition: {},
      channels: [{ type: 'slack', url: 'https://slack.example.com/services/x' }],
    },
  });
  const { id: connection } = await create('/v1/dyn-db-credentials', {
    name: 'orders',
    engine: 'postgres',
    host: 'orders.example.com',
    port: 5_432,
    database_name: 'orders',
    admin_username: 'admin',
    admin_password: MEMORY_PASSWORD,
  });
  const oauth2 = { name: 'crm', provider: 'github', client_id: 'client', client_secret: 'canary' };
  const implicit = { ...oauth2, provider: 'custom', client_secret: null, grant_type: 'implicit' };
  const { id: secret } = await create('/v1/secrets/oauth2', {
    ...implicit,
    auth_url: 'https://idp.example.com',
  });
  const connect = `/v1/secrets/${secret}/oauth2/connect`;
  const { authorization_url } = await create(connect, {});
  await create(connect, {});
  const state = new URL(authorization_url).searchParams.get('state')!;
  const params = new URLSearchParams({ state, access_token: 'token' });
  const visitor = { requestId: 'request' as RequestId, ip: null };
  await harness.oauth2Secrets.complete({ secretId: secret, params, visitor });
  // A rotation of the password that was broken off half way.
  const next = { table: 'dyn_db_connections', column: 'next_password_envelope' } as const;
  const place: EnvelopePlace = { tenantId: harness.tenant.id, mode: 'live', rowId: connection, ...next };
  const envelope = await harness.kms.seal(place, Buffer.from('next'));
  await (harness.db as Database)
    .view<{ dyn_db_connections: { id: string; next_password_envelope: Buffer } }>({
      dyn_db_connections: { scope: 'tenant+mode' },
    })
    .scoped(scope())
    .updateTable('dyn_db_connections')
    .set({ next_password_envelope: envelope })
    .where('id', '=', connection)
    .execute();

  await keepInbound(inbound);

  const before = await storedEnvelopes();
  const reached = new Set(before.map(({ registered }) => registered));
  expect([...reached].sort()).toEqual(
    ENVELOPE_COLUMNS.map(({ table, column }) => `${table}.${column}`).sort(),
  );
  const values = await opened(before);

  const version = await harness.kms.rotate(harness.tenant.id);
  await harness.db.transaction((tx) => harness.rewraps.issue(tx, harness.tenant.id, version));
  await harness.jobs.start(jobDefinitions(harness));
  await harness.jobs.idle();

  const after = await storedEnvelopes();
  expect(after.map((stored) => stored.place)).toEqual(before.map((stored) => stored.place));
  expect(new Set(after.map((stored) => envelopeVersion(stored.envelope)))).toEqual(new Set([2]));
  expect(await opened(after)).toEqual(values);
  expect(await create(tokens, { value: 'the value' }, once)).toEqual(first);
  await harness.jobs.stop(0);
});
