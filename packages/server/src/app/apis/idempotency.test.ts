import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CHANGE_WITHOUT_ANSWER } from '../../capabilities/idempotency/index.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { TestAnswer, TestCall } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { type MatrixRig, nameOf, openMatrixRig } from '../../testing/matrix-rig.js';
import { ROUTE_SAMPLES } from '../../testing/route-samples.js';

let lastKey = 0;
const keyed = (call: TestCall, key = `key-${++lastKey}`): TestCall => ({
  ...call,
  headers: { ...call.headers, 'x-idempotency-key': key },
});

function expectReplay(replay: TestAnswer, first: TestAnswer): void {
  expect([replay.status, replay.text]).toEqual([first.status, first.text]);
  expect(replay.headers['x-idempotent-replay']).toBe('true');
  expect(replay.headers['x-request-id']).toBe(first.headers['x-request-id']);
  expect(replay.headers['cache-control']).toBe(first.headers['cache-control']);
}

/** The answer with null in place of what no replay shows. */
function withoutFields(answer: TestAnswer, fields: readonly string[] = []): TestAnswer {
  const { data, ...rest } = answer.json;
  const shown = fields.filter((field) => data?.[field] !== undefined);
  if (shown.length === 0) return answer;
  const emptied = { ...data, ...Object.fromEntries(shown.map((field) => [field, null])) };
  return { ...answer, text: JSON.stringify({ data: emptied, ...rest }) };
}

describe('every route that changes something', () => {
  let rig: MatrixRig;
  beforeAll(async () => {
    rig = await openMatrixRig();
  });
  afterAll(() => rig.close());

  it('commits its answer with the change, and replays it', async () => {
    const changing = rig.routes.filter(
      ({ method, access = 'tenant' }) => method !== 'GET' && access === 'tenant',
    );
    expect(changing.length).toBeGreaterThan(10);
    for (const definition of changing) {
      const name = nameOf(definition);
      const { method, path, audit } = definition;
      const world = rig.world(path.startsWith('/v1/') ? 'v1' : 'admin', rig.tenant, 'live');
      const auditTotal = async () => (await world.call('GET', '/v1/audit-logs')).json.meta.total;
      const sample = ROUTE_SAMPLES[name] ?? {};
      const status = sample.refused ?? definition.status ?? 200;
      for (const body of (await sample.bodies?.(world)) ?? [undefined]) {
        const row = (await sample.pathFor?.(world, body ?? {})) ?? (await sample.path?.(world)) ?? path;
        const call = keyed({ body });
        const before = await auditTotal();
        const first = await world.call(method, row, call);
        expect([name, first.status]).toEqual([name, status]);
        expect(first.headers['x-idempotent-replay']).toBeUndefined();
        expectReplay(await world.call(method, row, call), withoutFields(first, definition.notReplayed));
        expect([name, (await auditTotal()) - before]).toEqual([name, audit === null ? 0 : 1]);
      }
    }
    expect(rig.logLines.filter((line) => line.includes(CHANGE_WITHOUT_ANSWER))).toEqual([]);
  });
});

describe('a management call', () => {
  const thing = z.object({ id: z.string(), reveal: z.string().nullable() });
  let made = 0;
  const further: RouteDefinition[] = [
    route({
      method: 'POST',
      path: '/v1/certificates',
      summary: 'Shows a private key once',
      permission: null,
      audit: 'pki.issue',
      response: thing,
      notReplayed: ['reveal'],
      handle: ({ caller }) =>
        harness.db.transaction(async (tx) => {
          const issued = { id: String(++made), reveal: 'private-key-canary' };
          await recordAnswer(tx, caller, issued);
          return issued;
        }),
    }),
    route({
      method: 'POST',
      path: '/v1/forgotten',
      summary: 'Does not record its answer',
      permission: null,
      audit: 'thing.create',
      response: thing,
      handle: async () => ({ id: String(++made), reveal: null }),
    }),
    route({
      method: 'POST',
      path: '/v1/forbidden',
      summary: 'Needs what no key holds',
      permission: 'tenant:delete',
      audit: null,
      response: thing,
      handle: async () => ({}),
    }),
  ];
  let harness: Harness;
  beforeAll(async () => {
    harness = await createHarness({ furtherRoutes: further });
  });
  afterAll(() => harness.close());

  const post = (path: string, call: TestCall) =>
    harness.call('POST', path, { key: harness.tenant.live, ...call });

  it('that makes an API key shows the same key again, and another one to another credential', async () => {
    const call = keyed({ body: { name: 'ci' } });
    const first = await post('/v1/api-keys', call);
    expect(first.json.data.api_key).toMatch(/^tk_live_/);
    const replay = await post('/v1/api-keys', call);
    expectReplay(replay, first);
    expect(replay.headers['cache-control']).toBe('no-store');
    expect(replay.json.meta.request_id).toBe(replay.headers['x-request-id']);

    const others = [first.json.data.api_key, harness.tenant.test, harness.other.live];
    const keys = await Promise.all(
      others.map(async (key) => (await post('/v1/api-keys', { ...call, key })).json.data.api_key),
    );
    expect(new Set([first.json.data.api_key, ...keys]).size).toBe(4);
    expect(harness.logLines.join('')).not.toContain(String(first.json.data.api_key).slice(21));
  });

  it('logs which call a replay repeats', async () => {
    const call = keyed({ body: { name: 'ci' } });
    const first = await post('/v1/api-keys', call);
    await post('/v1/api-keys', call);
    const line = harness.logLines
      .map((text) => JSON.parse(text))
      .findLast(({ msg }) => msg === 'answer replayed');
    expect(line).toMatchObject({ replayed_request_id: first.headers['x-request-id'] });
    expect(line.request_id).not.toBe(line.replayed_request_id);
  });

  it('shows a private key the first time only', async () => {
    const call = keyed({});
    const first = await post('/v1/certificates', call);
    expect(first.json.data).toEqual({ id: expect.any(String), reveal: 'private-key-canary' });
    const replay = await post('/v1/certificates', call);
    expect(replay.json).toEqual({ ...first.json, data: { ...first.json.data, reveal: null } });
  });

  it('whose service forgot its answer is named in the log, and replayed all the same', async () => {
    const call = keyed({});
    const first = await post('/v1/forgotten', call);
    expect(harness.logLines.filter((line) => line.includes(CHANGE_WITHOUT_ANSWER))).toHaveLength(1);
    expectReplay(await post('/v1/forgotten', call), first);
  });

  describe('400 and 409', () => {
    it.each([
      ['a bad field', '{}', 'name'],
      ['broken JSON', '{"name":', 'body'],
    ])('%s is refused again with the same answer', async (_what, payload, field) => {
      const { headers } = keyed({});
      const inject = async () => {
        const answer = await harness.app.inject({
          method: 'POST',
          url: '/v1/api-keys',
          headers: {
            authorization: `Bearer ${harness.tenant.live.apiKey}`,
            'content-type': 'application/json',
            ...headers,
          },
          payload,
        });
        const { statusCode: status, headers: given, body: text, rawPayload: bytes } = answer;
        return { status, headers: given, text, bytes, json: answer.json() };
      };
      const first = await inject();
      expect([first.status, Object.keys(first.json.fields)]).toEqual([400, [field]]);
      expectReplay(await inject(), first);
    });

    it('a key is for one body and one query', async () => {
      const call = keyed({ body: { name: 'ci' } });
      await post('/v1/api-keys', call);
      for (const [path, body] of [
        ['/v1/api-keys', { name: 'other' }],
        ['/v1/api-keys?x=1', { name: 'ci' }],
      ] as const) {
        const answer = await post(path, { ...call, body });
        expect([answer.status, answer.json.error.type]).toEqual([409, 'idempotency_conflict']);
      }
      // The one before it stands.
      expect((await post('/v1/api-keys', call)).headers['x-idempotent-replay']).toBe('true');
    });

    it.each(['', ' ', 'a b', 'é', 'a\tb', 'x'.repeat(256)])('the key %j is none', async (key) => {
      const answer = await post('/v1/api-keys', keyed({ body: { name: 'ci' } }, key));
      expect([answer.status, Object.keys(answer.json.fields)]).toEqual([400, ['X-Idempotency-Key']]);
    });

    it.each(['01ARZ3NDEKTSV4RRFFQ69G5FAV', '~!@', 'x'.repeat(255)])('the key %j is one', async (key) => {
      expect((await post('/v1/api-keys', keyed({ body: { name: 'ci' } }, key))).status).toBe(201);
    });
  });

  it('401, 403 and 404 come before its key', async () => {
    const bad = keyed({}, 'a b');
    const answers = [
      await harness.call('POST', '/v1/api-keys', bad),
      await post('/v1/forbidden', bad),
      await post('/v1/nothing', bad),
    ];
    expect(answers.map(({ status }) => status)).toEqual([401, 403, 404]);
  });

  it('that reads takes no notice of a key, however it looks', async () => {
    for (const key of ['reading', 'a b']) {
      const call = keyed({ key: harness.tenant.live }, key);
      const answers = [
        await harness.call('GET', '/v1/api-keys', call),
        await harness.call('GET', '/v1/api-keys', call),
        await harness.call('HEAD', '/v1/api-keys', call),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(answers.map(({ headers }) => headers['x-idempotent-replay'])).toEqual(Array(3).fill(undefined));
    }
  });
});
