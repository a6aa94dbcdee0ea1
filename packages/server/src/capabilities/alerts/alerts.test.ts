import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../kernel/ids.js';
import type { JobContext } from '../../platform/jobs/definition.js';
import { forEachDatabase } from '../../testing/databases.js';
import { type Receiver, startWebhookRig, type WebhookRig } from '../../testing/webhook-rig.js';
import type { ApiLogEntry } from '../api-logs/index.js';
import { entry } from '../api-logs/store.contract.js';

const T0 = Date.UTC(2026, 0, 15, 9, 30);
const MINUTE_MS = 60_000;
const SLACK_PATH = '/services/T0/B0/canary-slack-url';

forEachDatabase((_name, open) => {
  let rig: WebhookRig;
  let owner: string;
  let live: Scope;
  let slack: Receiver;

  beforeEach(async () => {
    rig = await startWebhookRig({ open, startMs: T0 });
    owner = await rig.harness.signIn(rig.harness.tenant.ownerEmail);
    live = { tenantId: rig.harness.tenant.id, sandbox: false };
    slack = await rig.receiver('slack.example.com');
  });
  afterEach(() => rig.close());

  const contextOf = (more: Partial<JobContext> = {}): JobContext => ({
    id: 1,
    payload: {},
    attempt: 1,
    batchMax: 100_000,
    signal: new AbortController().signal,
    isStopping: () => false,
    fence: async () => {},
    ...more,
  });

  const call = (method: string, path: string, body?: unknown) =>
    rig.harness.call(method, `/admin/alerts${path}`, { token: owner, ...(body !== undefined && { body }) });

  async function make(body: Record<string, unknown> = {}): Promise<string> {
    const { status, json, text } = await call('POST', '', {
      name: 'errors',
      type: 'request_failures',
      condition: { threshold: 3 },
      channels: [{ type: 'slack', url: slackUrl() }],
      ...body,
    });
    expect([status, status === 201 ? '' : text]).toEqual([201, '']);
    return json['data'].id;
  }
  const slackUrl = () => new URL(SLACK_PATH, slack.url).href;

  let written = 0;
  async function write(count: number, call: Partial<ApiLogEntry>, scope = live): Promise<void> {
    const { apiLogs, clock } = rig.harness;
    for (let n = 0; n < count; n++)
      apiLogs.append(entry(scope, `r${++written}`, { tsMs: clock.nowMs(), ...call }));
    await apiLogs.flush();
  }
  const WIDE = { threshold: 3, window_minutes: 30 };
  const failed = { statusCode: 502, error: 'upstream_unreachable' } as const;

  /** What is settled is counted, and judged; how many went off. */
  async function judge(more: Partial<JobContext> = {}): Promise<number> {
    await rig.advance(21_000);
    await rig.harness.analytics.count(contextOf());
    const { details } = await rig.harness.alerts.evaluation.run(contextOf(more));
    await rig.settle();
    return details!['fired'] as number;
  }
  const firings = async (id: string) => (await call('GET', `/${id}/firings`)).json['data'];

  describe('an alert', () => {
    it('goes off once its condition holds, tells its channels, and is quiet for its cooldown', async () => {
      const id = await make();
      await write(2, failed);
      await write(5, { statusCode: 404 });
      expect(await judge()).toBe(0);
      await write(1, failed);
      expect(await judge()).toBe(1);
      expect(slack.received.map(({ url }) => url)).toEqual([SLACK_PATH]);
      expect(JSON.parse(slack.received[0]!.body).text).toContain('WARNING "errors": 3 calls of 8 failed');
      await write(9, failed);
      expect(await judge()).toBe(0);
      const [firing, ...others] = await firings(id);
      expect(others).toEqual([]);
      expect(firing).toMatchObject({
        value: 3,
        requests: 8,
        condition: { threshold: 3, window_minutes: 5, include_status_codes: [] },
        deliveries: [{ type: 'slack', state: 'delivered', attempts: 1, error: null }],
      });
      const { json } = await call('GET', `/${id}`);
      expect(json['data']).toMatchObject({ trigger_count: 1, last_triggered_at: firing.triggered_at });
    });

    it('counts no call for two firings', async () => {
      await make({ condition: { threshold: 3, window_minutes: 60 }, cooldown_minutes: 5 });
      await write(4, failed);
      expect(await judge()).toBe(1);
      await rig.advance(6 * MINUTE_MS);
      expect(await judge()).toBe(0);
      await write(3, failed);
      expect(await judge()).toBe(1);
    });

    it('is not set off by calls outside of what it watches', async () => {
      await write(3, failed);
      await rig.advance(7 * MINUTE_MS);
      await make();
      await make({ route_id: '6f1c1f0e-0000-4000-8000-000000000001', condition: WIDE });
      await make({ environment: 'production', condition: WIDE });
      await make({ condition: { ...WIDE, include_status_codes: [503] } });
      await make({ condition: WIDE, enabled: false });
      await write(3, failed, { ...live, sandbox: true });
      expect(await judge()).toBe(0);
      await make({ condition: WIDE });
      expect(await judge()).toBe(1);
    });

    it('of latency looks at a percentile, of enough calls', async () => {
      const of = { type: 'high_latency', condition: { threshold_ms: 500, percentile: 95, min_requests: 20 } };
      const id = await make(of);
      await write(18, { latencyMs: 10 });
      await write(1, { latencyMs: 9_000 });
      expect(await judge()).toBe(0);
      await write(2, { latencyMs: 900 });
      expect(await judge()).toBe(1);
      const [firing] = await firings(id);
      expect(Math.abs(firing.value - 900)).toBeLessThan(900 / 64);
    });

    it('of limits and of unknown clients goes off at the first such call', async () => {
      const limits = await make({ type: 'rate_limit_exceeded', condition: {} });
      const clients = await make({ type: 'unauthorized_client', condition: { threshold: 2 } });
      await write(5, { statusCode: 403, error: 'forbidden' });
      expect(await judge()).toBe(0);
      await write(1, { statusCode: 403, error: 'client_not_authorized' });
      await write(1, { statusCode: 429, error: 'rate_limit_exceeded', rateLimited: true });
      expect(await judge()).toBe(1);
      await write(1, { statusCode: 403, error: 'ip_not_allowed' });
      expect(await judge()).toBe(1);
      expect([(await firings(limits))[0].value, (await firings(clients))[0].value]).toEqual([1, 2]);
    });

    it('is told to webhooks that want the event', async () => {
      const hook = await rig.receiver('hooks.example.com');
      await rig.make({ url: hook.url, event_types: ['alert.triggered'] });
      const id = await make({ channels: [] });
      await write(3, failed);
      expect(await judge()).toBe(1);
      const event = JSON.parse(hook.received[0]!.body);
      expect([event.event, event.data.alert_id, event.data.value]).toEqual(['alert.triggered', id, 3]);
    });
  });

  describe('channels', () => {
    it('that are away are tried again, and keep no other waiting', async () => {
      const hook = await rig.receiver('hooks.example.com');
      slack.answer = (_request, response) => response.writeHead(503).end();
      const secret = 'canary-signing-secret';
      const id = await make({
        channels: [
          { type: 'slack', url: slackUrl() },
          { type: 'webhook', url: hook.url, secret },
          { type: 'email', to: 'ops@example.com' },
        ],
      });
      await write(3, failed);
      expect(await judge()).toBe(1);
      expect(hook.received).toHaveLength(1);
      const { body, headers } = hook.received[0]!;
      expect(JSON.parse(body)).toMatchObject({ event: 'alert.triggered', data: { alert_id: id } });
      const hmac = createHmac('sha256', secret).update(body).digest('hex');
      expect(headers['x-webhook-signature']).toBe(`sha256=${hmac}`);
      expect(rig.harness.mailBox.lastTo('ops@example.com').subject).toBe('[KnoxCall] WARNING "errors"');
      slack.answer = null;
      await rig.advance(4_000);
      await rig.settle();
      const states = (await firings(id))[0].deliveries.map((row: Record<string, unknown>) => row['state']);
      expect(states).toEqual(['delivered', 'delivered', 'delivered']);
      expect([hook.received.length, rig.harness.mailBox.mails.length]).toEqual([1, 1]);
    });

    it('that stay away are given up, and the history says why', async () => {
      slack.answer = (_request, response) => response.writeHead(410).end();
      const id = await make();
      await write(3, failed);
      await judge();
      for (let n = 0; n < 14; n++) await rig.advance(3_600_000);
      owner = await rig.harness.signIn(rig.harness.tenant.ownerEmail);
      const [{ deliveries }] = await firings(id);
      expect(deliveries).toMatchObject([
        { state: 'failed', attempts: 12, error: 'The receiver answered 410' },
      ]);
      expect(slack.received).toHaveLength(12);
    });

    it('are tried by a test, one by one, and no firing comes of it', async () => {
      slack.answer = (_request, response) => response.writeHead(404).end();
      const channels = [
        { type: 'slack', url: slackUrl() },
        { type: 'email', to: 'ops@example.com' },
      ];
      const id = await make({ channels });
      const { json } = await call('POST', `/${id}/test`);
      expect(json['data']).toMatchObject({
        success: false,
        channels: [
          { type: 'slack', success: false, error: 'The receiver answered 404' },
          { type: 'email', success: true },
        ],
      });
      expect(rig.harness.mailBox.lastTo('ops@example.com').text).toMatch(/^This is a test/);
      expect(await firings(id)).toEqual([]);
    });

    it('send no SMS where no provider is configured', async () => {
      const sms = { type: 'sms', to: '+4915123456789' };
      const refused = await call('POST', '', {
        name: 'a',
        type: 'unauthorized_client',
        condition: {},
        channels: [sms],
      });
      expect([refused.status, Object.keys(refused.json['fields'])]).toEqual([400, ['channels[0].type']]);
    });
  });

  it('leaves nothing of a credential in answers, audit rows, logs and tables', async () => {
    const id = await make({
      channels: [
        { type: 'slack', url: slackUrl() },
        {
          type: 'webhook',
          url: 'https://u-canary.example.com/canary-path?canary=1',
          secret: 'canary-signing-secret',
        },
      ],
    });
    const shown = [
      (await call('GET', `/${id}`)).text,
      (await call('GET', '')).text,
      (await call('PATCH', `/${id}`, { name: 'other' })).text,
      (await rig.harness.call('GET', '/v1/audit-logs?per_page=100', { key: rig.harness.tenant.live })).text,
      rig.harness.logLines.join('\n'),
    ].join('\n');
    expect(shown).toContain('https://slack.example.com:');
    expect(shown).not.toMatch(/canary-(slack|path|signing)|canary=/);
  });

  it('goes off once when two runs judge it at the same time, and not at all when the run has lost its job', async () => {
    await make();
    await write(3, failed);
    await rig.advance(21_000);
    await rig.harness.analytics.count(contextOf());
    const lost = rig.harness.alerts.evaluation.run(
      contextOf({
        fence: async () => {
          throw new Error('lost');
        },
      }),
    );
    await expect(lost).rejects.toThrow('lost');
    const run = () => rig.harness.alerts.evaluation.run(contextOf());
    const reports = await Promise.all([run(), run()]);
    expect(reports.map(({ details }) => details!['fired']).sort()).toEqual([0, 1]);
    await rig.settle();
    expect(slack.received).toHaveLength(1);
  });

  it('loses its history with itself, and after 90 days', async () => {
    const id = await make();
    await write(3, failed);
    await judge();
    const { alerts, clock } = rig.harness;
    expect(await alerts.trim(100)).toBe(0);
    await call('DELETE', `/${id}`);
    expect(await alerts.trim(100)).toBe(1);
    const kept = await make();
    await write(3, failed);
    await judge();
    clock.advance(91 * 86_400_000);
    expect(await alerts.trim(100)).toBe(1);
    expect(kept).not.toBe(id);
  });
});
