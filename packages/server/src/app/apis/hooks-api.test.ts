import { createHmac } from 'node:crypto';
import { type IncomingHttpHeaders, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { sign as signAsGithub } from '@octokit/webhooks-methods';
import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

/** Inbound webhooks on a whole server, with the senders' own libraries as signers. */
let whole: WholeServer;
let slug: string;
const SECRET = 'canary-secret-of-the-sender';
const stripe = new Stripe('sk_test_unused');
const arrived: { url: string; headers: IncomingHttpHeaders; rawHeaders: string[]; body: string }[] = [];
let status = 200;

beforeAll(async () => {
  whole = await startWholeServer();
  slug = whole.bootstrap.tenant.slug;
  whole.answer = async (incoming, response) => {
    const body = (await buffer(incoming)).toString('utf8');
    arrived.push({ url: incoming.url!, headers: incoming.headers, rawHeaders: incoming.rawHeaders, body });
    response.writeHead(status, { 'x-from': 'upstream', 'x-knox-forged': '1' }).end(`got ${body.length}`);
  };
});
beforeEach(() => {
  arrived.length = 0;
  status = 200;
});
afterAll(() => whole.close());

let made = 0;
async function make(body: Record<string, unknown> = {}, key?: string): Promise<string> {
  const name = `in-${++made}`;
  const answer = await whole.api(
    'POST',
    '/v1/inbound-webhooks',
    { name, format: 'stripe', secret: SECRET, target_url: `${whole.target}/in?from=hook`, ...body },
    key,
  );
  expect([answer.status, answer.json.error]).toEqual([201, undefined]);
  return answer.json.data.name;
}

interface Sent {
  readonly status: number;
  readonly type: string | undefined;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  /** Without what differs between any two answers. */
  readonly shape: unknown;
}

function send(
  path: string,
  body: string | Buffer,
  headers: Record<string, string>,
  { host = `127.0.0.1:${whole.port}`, method = 'POST' } = {},
): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const call = request({
      port: whole.port,
      host: '127.0.0.1',
      method,
      path,
      headers: { ...headers, host },
    });
    call.on('error', reject);
    call.on('response', async (response) => {
      const text = (await buffer(response)).toString('utf8');
      const json = response.headers['content-type']?.includes('json') ? JSON.parse(text) : {};
      const { date: _d, 'x-request-id': _r, 'content-length': _l, ...others } = response.headers;
      const { request_id: _i, ...error } = json.error ?? {};
      resolve({
        status: response.statusCode!,
        type: json.error?.type,
        text,
        headers: response.headers,
        shape: [response.statusCode, others, error],
      });
    });
    call.end(body);
  });
}
const outcome = ({ status: code, type }: Sent) => [code, type];
const to = (name: string) => `/hooks/${slug}/${name}`;
const nowSeconds = () => Math.floor(Date.now() / 1_000);

const BODY = JSON.stringify({ id: 'evt_1', amount: 10 });
const byStripe = (payload = BODY, timestamp = nowSeconds(), secret = SECRET) => ({
  'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp }),
});
const hex = (text: string, secret = SECRET) => createHmac('sha256', secret).update(text).digest('hex');

describe('signers', () => {
  it('of Stripe are verified, and what they sent arrives byte by byte', async () => {
    const name = await make();
    const sent = await send(`${to(name)}?a=1`, BODY, {
      ...byStripe(),
      'content-type': 'application/json',
      'x-knox-verified': 'false',
      x_knox_verified: 'true',
      'x-request-id': 'theirs',
      'x-forwarded-for': '1.2.3.4',
    });
    expect([sent.status, sent.text]).toEqual([200, `got ${BODY.length}`]);
    expect(sent.headers).toMatchObject({ 'x-from': 'upstream', 'x-knox-upstream-status': '200' });
    expect(sent.headers['x-knox-forged']).toBeUndefined();
    const [{ url, headers, body, rawHeaders }] = arrived as [(typeof arrived)[0]];
    expect([url, body]).toEqual(['/in?from=hook&a=1', BODY]);
    expect(headers).toMatchObject({
      'x-knox-verified': 'true',
      'content-type': 'application/json',
      'x-request-id': sent.headers['x-request-id'],
    });
    const names = rawHeaders.filter((_, at) => at % 2 === 0).map((one) => one.toLowerCase());
    expect(names.filter((one) => /^x.knox.verified$|^x-forwarded|^x-request-id$/.test(one))).toEqual([
      'x-knox-verified',
      'x-request-id',
    ]);
    expect(headers.via).toMatch(/^1\.1 knoxcall-/);
  });

  it('of Stripe may sign by an old secret and a new one', async () => {
    const name = await make();
    const at = nowSeconds();
    const [old, fresh] = [hex(`${at}.${BODY}`, 'the-old-secret'), hex(`${at}.${BODY}`)];
    const headers = { 'stripe-signature': `t=${at},v1=${old},v1=${fresh},v0=ignored` };
    expect((await send(to(name), BODY, headers)).status).toBe(200);
  });

  it('of GitHub are verified', async () => {
    const name = await make({ format: 'github' });
    const signature = await signAsGithub(SECRET, BODY);
    expect((await send(to(name), BODY, { 'x-hub-signature-256': signature })).status).toBe(200);
    expect(outcome(await send(to(name), `${BODY} `, { 'x-hub-signature-256': signature }))).toEqual([
      403,
      'invalid_signature',
    ]);
  });

  it('of Slack are verified as its documentation has them', async () => {
    // https://docs.slack.dev/authentication/verifying-requests-from-slack
    const body =
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';
    const headers = {
      'x-slack-request-timestamp': '1531420618',
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    };
    const secret = '8f742231b10e8888abcd99yyyzzz85a5';
    const name = await make({ format: 'slack', secret, tolerance_seconds: 0 });
    expect((await send(to(name), body, headers)).status).toBe(200);
    const strict = await make({ format: 'slack', secret });
    expect(outcome(await send(to(strict), body, headers))).toEqual([403, 'replay_window_exceeded']);
  });

  it('of the other formats are verified, and by a crypto key with the version before', async () => {
    const legacyBody = JSON.stringify({ timestamp: new Date().toISOString(), event: 'x' });
    const legacy = await make({ format: 'legacy' });
    expect((await send(to(legacy), legacyBody, { 'x-webhook-signature': hex(legacyBody) })).status).toBe(200);
    const undated = { 'x-webhook-signature': `sha256=${hex(BODY)}` };
    expect(outcome(await send(to(legacy), BODY, undated))).toEqual([403, 'replay_window_exceeded']);
    const custom = await make({ format: 'custom', header_name: 'X-Shop' });
    expect((await send(to(custom), BODY, { 'x-shop': `sha256=${hex(BODY)}` })).status).toBe(200);
    const sns = await make({ format: 'aws-sns' });
    const base64 = createHmac('sha256', SECRET).update(BODY).digest('base64');
    expect((await send(to(sns), BODY, { 'x-amz-sns-signature': base64 })).status).toBe(200);

    const key = await whole.api('POST', '/v1/crypto/keys', { name: 'inbound', key_type: 'hmac-sha256' });
    const byKey = await make({ format: 'github', secret: null, hmac_key_id: key.json.data.id });
    const signed = async (text: string) => {
      const { json } = await whole.api('POST', `/v1/crypto/keys/inbound/webhook-sign`, {
        payload: text,
        format: 'github',
      });
      return json.data.signature_header;
    };
    const first = await signed(BODY);
    await whole.api('POST', '/v1/crypto/keys/inbound/rotate');
    expect((await send(to(byKey), BODY, { 'x-hub-signature-256': first })).status).toBe(200);
    expect((await send(to(byKey), 'two', { 'x-hub-signature-256': await signed('two') })).status).toBe(200);
  });
});

describe('a request', () => {
  it('is taken once, within its window, unless it has not arrived', async () => {
    const name = await make();
    const headers = byStripe();
    expect((await send(to(name), BODY, headers)).status).toBe(200);
    const again = { 'stripe-signature': headers['stripe-signature'].split(',').reverse().join(', ') };
    for (const repeated of [headers, again])
      expect(outcome(await send(to(name), BODY, repeated))).toEqual([403, 'replay_window_exceeded']);
    for (const seconds of [-400, 400])
      expect(outcome(await send(to(name), BODY, byStripe(BODY, nowSeconds() + seconds)))).toEqual([
        403,
        'replay_window_exceeded',
      ]);
    // Others with the same secret are no repetition of it.
    expect((await send(to(await make()), BODY, headers)).status).toBe(200);
    status = 503;
    const failed = byStripe('failed');
    expect((await send(to(name), 'failed', failed)).status).toBe(503);
    status = 200;
    expect((await send(to(name), 'failed', failed)).status).toBe(200);
  });

  it('that has been here before is a loop, and was not taken', async () => {
    const name = await make();
    await send(to(name), 'first', byStripe('first'));
    const via = String(arrived[0]!.headers.via);
    arrived.length = 0;
    const headers = byStripe();
    for (const looped of [via, `1.0 other, ${via.toUpperCase()}`, `${via}, 1.1 other`])
      expect(outcome(await send(to(name), BODY, { ...headers, via: looped }))).toEqual([
        508,
        'loop_detected',
      ]);
    expect(arrived).toEqual([]);
    expect((await send(to(name), BODY, { ...headers, via: '1.1 other' })).status).toBe(200);
    expect(arrived[0]!.headers.via).toBe(`1.1 other, ${via}`);
  });

  it('that is sent many times at once is taken once', async () => {
    const name = await make();
    const headers = byStripe();
    const all = await Promise.all(Array.from({ length: 8 }, () => send(to(name), BODY, headers)));
    expect(all.filter((one) => one.status === 200)).toHaveLength(1);
    expect(arrived).toHaveLength(1);
  });

  it('learns nothing of which webhooks there are', async () => {
    const [known, off] = [await make(), await make({ enabled: false })];
    const sandboxOnly = await make({}, whole.bootstrap.test_api_key);
    const places = [
      to(known),
      to(off),
      to(sandboxOnly),
      to('nothing-of-the-kind'),
      '/hooks/nobody/at-all',
      '/hooks/%00/at-all',
      '/hooks/sandbox-nobody/at-all',
      `/hooks/${slug}/%00x`,
      `/hooks/sandbox-${slug}/${known}`,
    ];
    for (const [headers, type] of [
      [byStripe(BODY, nowSeconds(), 'another-secret'), 'invalid_signature'],
      [byStripe(BODY, 1, 'another-secret'), 'invalid_signature'],
      [{ 'stripe-signature': 'nonsense' }, 'invalid_signature'],
      [{ 'x-hub-signature-256': 'sha256=00' }, 'invalid_signature'],
      [{ 'x-any-signature': 'x' }, 'invalid_signature'],
      [{}, 'signature_missing'],
    ] as const) {
      const answers = await Promise.all(places.map((place) => send(place, BODY, headers)));
      const shapes = new Set(answers.map(({ shape }) => JSON.stringify(shape)));
      expect([answers[0]!.type, [...shapes].slice(1)]).toEqual([type, []]);
    }
    expect(arrived).toEqual([]);
  });

  it('of test mode has the sandbox’s name before the tenant', async () => {
    const name = await make({}, whole.bootstrap.test_api_key);
    expect((await send(`/hooks/sandbox-${slug}/${name}`, BODY, byStripe())).status).toBe(200);
  });

  it('comes by the hooks host, where nothing else is', async () => {
    const name = await make();
    const host = `hooks.localhost:${whole.port}`;
    expect((await send(`/${slug}/${name}`, BODY, byStripe(), { host })).status).toBe(200);
    for (const path of ['/healthz', '/v1/account/usage/x', '/', to(name)])
      expect((await send(path, '', {}, { host, method: 'GET' })).status).toBe(404);
    expect(outcome(await send('/v1/account', '', {}, { host, method: 'GET' }))).toEqual([
      403,
      'signature_missing',
    ]);
    const ofTenant = { host: `${slug}.localhost:${whole.port}` };
    expect((await send(to(name), BODY, byStripe(), ofTenant)).status).toBe(404);
  });

  it('may be no larger than is read of strangers', async () => {
    const large = Buffer.alloc(2 * 1024 * 1024 + 1, 'x');
    const sent = await send(to(await make()), large, byStripe(large.toString())).catch(() => null);
    if (sent !== null) expect(outcome(sent)).toEqual([413, 'payload_too_large']);
    expect(arrived).toEqual([]);
  });

  it('leaves a row of the log, of what was refused too, and nothing of its signature', async () => {
    const name = await make();
    const headers = byStripe();
    await send(to(name), BODY, headers);
    await send(to(name), BODY, { 'stripe-signature': 't=1,v1=canary-signature' });
    const rows = async () => {
      const { json } = await whole.api('GET', '/v1/logs?limit=1000');
      return json.data.filter(({ path }: { path: string }) => path === to(name));
    };
    await expect.poll(async () => (await rows()).length, { timeout: 10_000 }).toBe(2);
    expect(await rows()).toMatchObject([
      { status_code: 200, error: null, identification_method: 'webhook_signature' },
      { status_code: 403, error: 'invalid_signature' },
    ]);
    const text = JSON.stringify(await rows());
    expect(text).not.toContain(headers['stripe-signature'].slice(-64));
    expect(text).not.toContain('canary');
  });
});

it('what is under way at a stop is answered, and leaves its row though its sender has gone', async () => {
  const [stays, leaves] = [await make(), await make()];
  const answer = whole.answer!;
  let release = () => {};
  let underWay = 0;
  let began = () => {};
  const bothBegan = new Promise<void>((resolve) => {
    began = resolve;
  });
  whole.answer = (incoming, response) => {
    if (incoming.headers['x-leaves'] === undefined) release = () => void answer(incoming, response);
    if (++underWay === 2) began();
  };
  const answered = send(to(stays), BODY, byStripe());
  const leaver = request({
    port: whole.port,
    host: '127.0.0.1',
    method: 'POST',
    path: to(leaves),
    headers: { ...byStripe(), 'x-leaves': 'yes' },
  });
  leaver.on('error', () => {});
  leaver.end(BODY);
  await bothBegan;
  whole.answer = answer;
  leaver.destroy();
  const restarted = whole.restart(() => {});
  release();
  expect((await answered).status).toBe(200);
  await restarted;
  const { json } = await whole.api('GET', '/v1/logs?limit=1000');
  const rowOf = (name: string) => json.data.find(({ path }: { path: string }) => path === to(name));
  expect(rowOf(stays)).toMatchObject({ status_code: 200, error: null });
  expect(rowOf(leaves)).toMatchObject({ status_code: 499, error: 'client_disconnected' });
});

it('a network that has failed too often waits before anything of it is judged', async () => {
  const name = await make();
  let last: Sent | null = null;
  for (let n = 0; n < 130 && last?.status !== 429; n++) last = await send(to(name), BODY, {});
  expect(outcome(last!)).toEqual([429, 'rate_limit_exceeded']);
  expect(Number(last!.headers['retry-after'])).toBeGreaterThan(0);
  expect((await send(to(name), BODY, byStripe())).status).toBe(429);
});
