import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import type { JsonTree } from '../../../testing/calls.js';
import { type MatrixRig, openMatrixRig, type World } from '../../../testing/matrix-rig.js';
import { harmlessSegment, REDACTED } from './segments.js';

const PATH = '/v1/wrap/egress-observations';
const SDK = 'knoxcall-node/1.4.0';

let rig: MatrixRig;
let world: World;
beforeAll(async () => {
  rig = await openMatrixRig();
  world = rig.world('v1', rig.tenant, 'live');
});
afterAll(() => rig.close());

const at = (ms: number) => new Date(rig.clock.nowMs() + ms).toISOString();
const one = (terms: object = {}) => ({
  host: 'api.example.com',
  first_segment: 'v1',
  method: 'POST',
  header_name: 'authorization',
  count: 2,
  first_seen: at(-60_000),
  last_seen: at(-1_000),
  ...terms,
});

async function report(observations: unknown[], of: World = world): Promise<JsonTree> {
  const { status, json } = await of.call('POST', PATH, { body: { sdk: SDK, observations } });
  expect(status, JSON.stringify(json)).toBe(200);
  return json['data'] as unknown as JsonTree;
}

async function listed(of: World = world): Promise<JsonTree[]> {
  const { json } = await of.call('GET', PATH);
  return json['data']?.['observations'] as unknown as JsonTree[];
}

const OF_HOST = (host: string) => async () => (await listed()).filter((row) => row['host'] === host);

describe('a report', () => {
  it('is merged: counts added, the time between first and last widened', async () => {
    const host = 'merged.example.com';
    const first = one({ host });
    expect(await report([first, { ...first, first_seen: at(-90_000) }])).toEqual({
      accepted: 2,
      dropped: 0,
      reasons: {},
    });
    await report([{ ...first, host: 'MERGED.example.com.', method: 'post', header_name: 'Authorization' }]);
    expect(await OF_HOST(host)()).toEqual([{ sdk: SDK, ...first, count: 6, first_seen: at(-90_000) }]);
  });

  it('tells kinds apart by sdk, host, segment, method and header', async () => {
    const host = 'kinds.example.com';
    await report([
      one({ host }),
      one({ host, first_segment: 'v2' }),
      one({ host, method: 'GET' }),
      one({ host, header_name: 'x-api-key' }),
      one({ host, first_segment: '' }),
    ]);
    expect(await OF_HOST(host)()).toHaveLength(5);
  });

  it('is of one tenant and mode', async () => {
    await report([one({ host: 'own.example.com' })]);
    for (const of of [rig.world('v1', rig.tenant, 'test'), rig.world('v1', rig.other, 'live')])
      expect(await listed(of)).toEqual([]);
  });

  it('holds no clock that is ahead of ours', async () => {
    const host = 'ahead.example.com';
    await report([one({ host, last_seen: at(3_600_000) })]);
    expect((await OF_HOST(host)())[0]?.['last_seen']).toBe(at(0));
  });

  it.each([
    ['invalid_host', { host: 'https://api.example.com' }],
    ['invalid_host', { host: '10.0.0.1' }],
    ['invalid_host', { host: '*.example.com' }],
    ['invalid_host', { host: 5 }],
    ['invalid_segment', { first_segment: 'a/b' }],
    ['invalid_segment', { first_segment: 'a'.repeat(3_000) }],
    ['invalid_method', { method: 'G T' }],
    ['invalid_method', { method: null }],
    ['invalid_header_name', { header_name: 'Bearer abc' }],
    ['invalid_count', { count: 0 }],
    ['invalid_count', { count: '1' }],
    ['invalid_count', { count: 2 ** 53 }],
    ['invalid_time', { first_seen: 'yesterday' }],
    ['invalid_time', { first_seen: '2100-01-01T00:00:00Z', last_seen: '2099-01-01T00:00:00Z' }],
  ])('drops a row for %s: %j, and takes the others', async (reason, terms) => {
    expect(await report([one(terms), one()])).toMatchObject({
      accepted: 1,
      dropped: 1,
      reasons: { [reason]: 1 },
    });
  });

  it('400 of too many rows, of what is no list, of a nameless SDK', async () => {
    const rows = Array.from({ length: LIMITS.egressObservationsMax + 1 }, () => one());
    for (const body of [
      { sdk: SDK, observations: rows },
      { sdk: SDK, observations: 'all' },
      { sdk: SDK, observations: [1] },
      { sdk: '', observations: [] },
    ])
      expect((await world.call('POST', PATH, { body })).status).toBe(400);
    expect((await report(rows.slice(1)))['accepted']).toBe(LIMITS.egressObservationsMax);
  });

  it('masks what reads as a secret, and says how often', async () => {
    const host = 'masked.example.com';
    const secret = 'sk_live_51H8xYZabcdefghijk';
    expect(await report([one({ host, first_segment: secret }), one({ host })])).toEqual({
      accepted: 2,
      dropped: 0,
      reasons: {},
      redacted: 1,
    });
    const rows = await OF_HOST(host)();
    expect(rows.map((row) => row['first_segment']).sort()).toEqual([REDACTED, 'v1']);
    expect(JSON.stringify([rows, rig.logLines])).not.toContain(secret);
  });

  it('keeps so many kinds and no more; those that there are go on being counted', async () => {
    const full = rig.world('v1', rig.other, 'test');
    const kinds = Array.from({ length: LIMITS.egressObservationKindsMax }, (_, i) =>
      one({ host: `h${i}.example.com` }),
    );
    for (let from = 0; from < kinds.length; from += 200) await report(kinds.slice(from, from + 200), full);
    expect(await report([one({ host: 'more.example.com' }), kinds[0]], full)).toEqual({
      accepted: 1,
      dropped: 1,
      reasons: { too_many_kinds: 1 },
    });
    expect(await listed(full)).toHaveLength(LIMITS.egressObservationKindsMax);
  });
});

it('lets a kind go 90 days after its last report, and takes no older row', async () => {
  const host = 'old.example.com';
  const sent = one({ host });
  await report([sent]);
  const { observations } = rig.services.wrap;
  rig.clock.advance(LIMITS.egressObservationKeptMs - 1);
  while ((await observations.removeOld(500)) === 500);
  expect(await OF_HOST(host)()).toHaveLength(1);
  rig.clock.advance(1_002);
  while ((await observations.removeOld(500)) === 500);
  expect(await OF_HOST(host)()).toEqual([]);
  expect(await report([sent])).toMatchObject({ accepted: 0, reasons: { too_old: 1 } });
});

describe('a first segment', () => {
  it.each(['', 'v1', 'api', 'chat-completions', '2024-10-01', 'repos.json', 'graph_api', 'oauth2'])(
    '%j is kept',
    (segment) => expect(harmlessSegment(segment)).toBe(segment),
  );

  it.each([
    'sk_live_51H8xYZabcdefghijk',
    'bot123456789:AAE-xyz',
    '4111111111111111',
    'ada@example.com',
    'f47ac10b-58cc-4372-a567-0e02b2c3d479',
    'AKIAIOSFODNN7EXAMPLE',
    'a%2Fb',
    'deadbeefcafe0123',
    'wkt_abcdefghijk',
    'x'.repeat(65),
    'qwertyuiopasdfghjklzxcvbnm',
    'Ünïcode',
  ])('%j is masked', (segment) => expect(harmlessSegment(segment)).toBe(REDACTED));
});
