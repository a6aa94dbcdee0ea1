import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope } from '../../kernel/ids.js';
import type { JobContext } from '../../platform/jobs/definition.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { createMember } from '../../testing/tenants.js';
import type { ApiLogEntry } from './index.js';
import { entry } from './store.contract.js';

const IDENTITY = ['matched_client_id', 'identification_method', 'src_ip'];

let harness: Harness;
let scope: Scope;
/** Who may not see the identity tier. */
let viewer: string;

beforeAll(async () => {
  harness = await createHarness();
  scope = { tenantId: harness.tenant.id, sandbox: false };
  viewer = await createMember(harness, harness.tenant, 'viewer');
});
afterAll(() => harness.close());

async function write(requestId: string, over: Partial<ApiLogEntry> = {}, of = scope): Promise<void> {
  harness.apiLogs.append(entry(of, requestId, { tsMs: harness.clock.nowMs(), ...over }));
  await harness.apiLogs.flush();
  harness.clock.advance(1);
}
const get = (path: string, key: unknown = harness.tenant.live) => harness.call('GET', path, { key } as never);
const idsOf = async (query: string) =>
  (await get(`/v1/logs?${query}`)).json['data'].map((row: { request_id: string }) => row.request_id);

describe('GET /v1/logs', () => {
  it('finds by what a dashboard asks for', async () => {
    await write('f-plain', { path: '/Charges/100%_done!', latencyMs: 5 });
    await write('f-slow', { latencyMs: 900, upstreamHost: 'slow.example.net' });
    await write('f-bad', { statusCode: 503, error: 'dependency_unavailable', matchedClientId: 'c1' });
    await write('f-test', { path: '/charges' }, { ...scope, sandbox: true });
    for (const [query, expected] of [
      ['q=charges/100', ['f-plain']],
      ['q=CHARGES', ['f-plain']],
      ['q=100%25_done', ['f-plain']],
      ['q=100%25%25', []],
      ['q=done!', ['f-plain']],
      ['q=example.NET', ['f-slow']],
      ['q=dependency_', ['f-bad']],
      ['q=f-sl', ['f-slow']],
      ['min_latency_ms=900', ['f-slow']],
      ['status_class=5xx', ['f-bad']],
      ['status_class=4xx', []],
      ['client_id=c1', ['f-bad']],
      ['q=f-&status_class=2xx&min_latency_ms=6', ['f-slow']],
    ] as const)
      expect([query, await idsOf(query)]).toEqual([query, expected]);
    for (const query of ['q=', `q=${'x'.repeat(201)}`, 'status_class=9xx', 'min_latency_ms=-1', 'nothing=1'])
      expect([query, (await get(`/v1/logs?${query}`)).json['error']?.['type']]).toEqual([
        query,
        'validation_error',
      ]);
  });

  it('begins near the time that is asked for, and misses none', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 40; n++) {
      await write(`t-${n}`);
      ids.push(`t-${n}`);
      harness.clock.advance(30_000);
    }
    const rows = (await get('/v1/logs?q=t-&limit=1000')).json['data'] as { ts: string; request_id: string }[];
    for (const at of [0, 1, 17, 39]) {
      const from = rows.find(({ request_id }) => request_id === `t-${at}`)!.ts;
      expect(await idsOf(`q=t-&from=${from}`)).toEqual(ids.slice(at));
      expect(await idsOf(`q=t-&from=${from}&to=${from}`)).toEqual([]);
    }
    expect(await harness.apiLogs.cursorAt(scope, harness.clock.nowMs())).not.toBe(
      await harness.apiLogs.cursorAt(scope, 0),
    );
  });

  it('lets nobody find out clients who may not see them', async () => {
    for (const path of ['/admin/logs?client_id=c1', '/admin/logs/export?client_id=c1']) {
      const { status, json } = await harness.call('GET', path, { token: await harness.signIn(viewer) });
      expect([status, json['error']['message']]).toEqual([403, expect.stringContaining('log:read_identity')]);
    }
  });
});

describe('GET /v1/logs/:request_id/proof', () => {
  /** The recipe of docs/operations/request-log.md, word for word. */
  function verify(row: Record<string, unknown>, { leaf_hash, proof, anchor, verification }: JsonTree) {
    const sha256 = (...parts: (string | Buffer)[]) =>
      parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
    const text = JSON.stringify(verification.leaf_fields.map((field: string) => row[field]));
    let hash = sha256(Buffer.from([0]), text);
    if (hash.toString('hex') !== leaf_hash) return false;
    for (const { hash: hex, right } of proof) {
      const [one, other] = right ? [hash, Buffer.from(hex, 'hex')] : [Buffer.from(hex, 'hex'), hash];
      hash = sha256(Buffer.from([1]), one, other);
    }
    return hash.toString('hex') === anchor.merkle_root;
  }

  it('is verified by the JSON of two answers, at both mounts', async () => {
    for (const id of ['p-1', 'p-2', 'p-3']) await write(id, { path: '/ü', environment: 'é"\\' });
    const before = await get('/v1/logs/p-2/proof');
    expect(before.json['data']).toEqual({
      anchored: false,
      reason: 'not_yet_anchored',
      detail: expect.any(String),
      verification: expect.any(Object),
    });
    await harness.logAnchors.anchor(jobContext());
    const token = await harness.signIn(harness.tenant.ownerEmail);
    for (const mount of ['v1', 'admin']) {
      const call = mount === 'v1' ? { key: harness.tenant.live } : { token };
      const row = (await harness.call('GET', `/${mount}/logs/p-2`, call)).json['data'];
      const { status, json } = await harness.call('GET', `/${mount}/logs/p-2/proof`, call);
      expect([status, json['data']['verified']]).toEqual([200, true]);
      expect(Object.keys(json['data'])).toEqual([
        'anchored',
        'verified',
        'detail',
        'observed_leaf_count',
        'recomputed_root',
        'anchor',
        'leaf_index',
        'leaf_hash',
        'proof',
        'verification',
      ]);
      expect(Object.keys(json['data']['anchor'])).toEqual([
        'id',
        'sequence_number',
        'anchored_at',
        'algo',
        'merkle_root',
        'leaf_count',
        'from_id',
        'to_id',
        'chain_row_hash',
      ]);
      expect(verify(row, json['data'])).toBe(true);
      expect(verify({ ...row, src_ip: '192.0.2.8' }, json['data'])).toBe(false);
    }
    expect((await get('/v1/logs/nothing/proof')).status).toBe(404);
    expect((await get('/v1/logs/p-2/proof', harness.other.live)).status).toBe(404);
  });
});

describe('GET /v1/logs/export', () => {
  const linesOf = (text: string) => text.split('\r\n').slice(0, -1);

  it('has the rows that the feed has, as CSV, and is recorded', async () => {
    await write('e-1', { path: '/a,"b"', echo: { guarded: 2, notGuarded: 1 } });
    await write('e-2', { matchedClientId: 'c9' });
    const answer = await get('/v1/logs/export?format=csv&q=e-');
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'cache-control': 'no-store',
      'content-disposition': expect.stringMatching(
        /^attachment; filename="request-log-\d{4}-\d\d-\d\d\.csv"$/,
      ),
      'x-request-id': expect.any(String),
    });
    const [header, first, second, ...none] = linesOf(answer.text);
    expect(header).toBe(
      'id,request_id,tenant_id,route_id,matched_client_id,identification_method,method,status_code,src_ip,environment,sandbox,ts,' +
        'path,latency_ms,upstream_host,error,rate_limited,proxy_mode,client_origin,echo_guarded,echo_not_guarded,warning',
    );
    expect(first).toMatch(/^\d+,e-1,.*,"\/a,""b""",12,api.example.com,,false,ephemeral,direct,2,1,$/);
    expect(second).toMatch(/^\d+,e-2,[0-9a-f-]{36},,c9,api_key,POST,200,192\.0\.2\.7,,false,/);
    expect(none).toEqual([]);
    const audit = await get('/v1/audit-logs?action=log.export');
    expect(audit.json['data'][0]).toMatchObject({
      resource_type: 'log',
      details: { format: 'csv', filter: { q: 'e-' }, with_identity: true, sandbox: false },
    });
  });

  it.each([
    ['=cmd()', "'=cmd()"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM', "'@SUM"],
    [' =1', "' =1"],
    ['\t=1', "'\t=1"],
    ['\r=1', '"\'\r=1"'],
    ['\uff1d1', "'\uff1d1"],
    ['/=1', '/=1'],
  ])('shows a spreadsheet no formula: %j', async (path, shown) => {
    const id = `formula-${Buffer.from(path).toString('hex')}`;
    await write(id, { path, method: '=X' });
    const { text } = await get(`/v1/logs/export?q=${id}`);
    expect(text).toContain(`,${shown},12,`);
    expect(text).toContain(",'=X,200,");
  });

  it('has no column of the identity tier for who may not see it, and no row of another tenant or mode', async () => {
    const { text, status } = await harness.call('GET', '/admin/logs/export', {
      token: await harness.signIn(viewer),
    });
    expect(status).toBe(200);
    for (const name of IDENTITY) expect(linesOf(text)[0]!.split(',')).not.toContain(name);
    expect(text).not.toContain('192.0.2.7');
    expect(linesOf((await get('/v1/logs/export', harness.other.live)).text)).toHaveLength(1);
    const test = linesOf((await get('/v1/logs/export?q=f-', harness.tenant.test)).text);
    expect(test.slice(1).map((line) => line.split(',')[1])).toEqual(['f-test']);
  });

  it('is 402 in a plan without it, and 400 in another format', async () => {
    await harness.tenantSwitch.changeBySlug('globex', { plan: 'starter' });
    await harness.advance(2_000);
    const { status, json } = await get('/v1/logs/export', harness.other.live);
    expect([status, json['error']['type']]).toEqual([402, 'plan_feature']);
    expect((await get('/v1/logs/export?format=xlsx')).json['error']['type']).toBe('validation_error');
    await harness.tenantSwitch.changeBySlug('globex', { plan: 'enterprise' });
    await harness.advance(2_000);
  });

  it('reads no faster than it is taken, ends with the calls that were there, and has a bound at once', async () => {
    const of: Scope = { tenantId: harness.other.id, sandbox: false };
    for (let n = 0; n < 3_000; n++)
      harness.apiLogs.append(
        entry(of, `many-${n}`, { tsMs: harness.clock.nowMs(), path: `/${'x'.repeat(500)}` }),
      );
    await harness.apiLogs.flush();
    harness.clock.advance(1);
    const caller = harness.callerOf(harness.other, 'live');
    const streams = [];
    for (let n = 0; n < 4; n++) streams.push(await harness.logExports.csv(caller, {}, {}, true));
    await expect(harness.logExports.csv(caller, {}, {}, true)).rejects.toMatchObject({
      type: 'rate_limit_exceeded',
      retryAfterSeconds: 10,
    });
    const [stream, ...others] = streams;
    for (const { release } of others) release();
    const pieces = stream!.pieces[Symbol.asyncIterator]();
    await pieces.next();
    // Between two pieces nothing is read: rows that are gone by then are not in it.
    expect(linesOf((await pieces.next()).value)).toHaveLength(500);
    await write('too late', {}, of);
    let rows = 500;
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
      const lines = linesOf(next.value);
      expect(lines.length).toBeLessThanOrEqual(500);
      rows += lines.length;
    }
    expect(rows).toBe(3_000);
    stream!.release();
    await expect(harness.logExports.csv(caller, {}, {}, true)).resolves.toBeDefined();
  });

  it('gives its place back where the reader leaves', async () => {
    const address = await harness.app.listen({ host: '127.0.0.1', port: 0 });
    const headers = { authorization: `Bearer ${harness.other.live.apiKey}` };
    for (let n = 0; n < 6; n++) {
      const leave = new AbortController();
      await expect
        .poll(async () => {
          const answer = await fetch(`${address}/v1/logs/export`, { headers, signal: leave.signal });
          if (answer.status === 200) await answer.body!.getReader().read();
          return answer.status;
        })
        .toBe(200);
      leave.abort();
    }
  });
});

function jobContext(): JobContext {
  return {
    id: 1,
    payload: {},
    attempt: 1,
    batchMax: 10_000,
    signal: new AbortController().signal,
    isStopping: () => false,
    fence: async () => {},
  };
}
