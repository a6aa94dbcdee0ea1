import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startWholeServer, UPSTREAM_HOST, type WholeServer } from '../../testing/whole-server.js';

const VALUE = 'sk-live "quoted" & more';
/** What would be one more placeholder, if values were looked at again. */
const NESTED = '{{secret:API_KEY}} {{ token: cards.tok_x }}';
const JSON_TYPE = { 'content-type': 'application/json' };

let server: WholeServer;
const ids = new Map<string, string>();

beforeAll(async () => {
  server = await startWholeServer();
  const bound = { allowed_hosts: [UPSTREAM_HOST] };
  const expired = { expires_at: '2020-01-01T00:00:00Z' };
  for (const secret of [
    { name: 'API_KEY', value: VALUE, ...bound },
    { name: 'Nested key', value: NESTED, ...bound },
    { name: 'OLD', value: 'old-value', ...bound, ...expired },
    { name: 'BELOW', value: 'below-value', allowed_hosts: ['*.example.com'] },
    { name: 'UNBOUND', value: 'unbound-value' },
    { name: 'PATHLIKE', value: 'charge-42', ...bound },
  ]) {
    const { json } = await server.api('POST', '/v1/secrets', secret);
    ids.set(secret.name, json.data.id);
  }
});
afterAll(() => server.close());
afterEach(() => {
  server.answer = null;
});

interface Sent {
  readonly body?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly key?: string;
}

async function call({ body, path = '/charge', headers = JSON_TYPE, key }: Sent) {
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/proxy`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key ?? server.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${server.target}${path}`,
      ...headers,
    },
    ...(body !== undefined && { body }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** What the upstream got of a call, which it answers with nothing. */
async function sent(one: Sent): Promise<{ url: string; body: string }> {
  let got = { url: '', body: '' };
  server.answer = async (request, response) => {
    got = { url: request.url ?? '', body: await text(request) };
    response.end();
  };
  const { status, text: answer } = await call(one);
  expect([status, answer]).toEqual([200, '']);
  return got;
}

const logRow = async (requestId: string) => {
  const read = () => server.api('GET', `/v1/logs/${requestId}`);
  await expect.poll(async () => (await read()).status).toBe(200);
  return (await read()).json.data;
};

describe('a placeholder of a bound secret', () => {
  it('is the value in JSON, escaped', async () => {
    const { body } = await sent({ body: '{"key":"Bearer {{secret:API_KEY}}","n":1e400}' });
    expect(body).toBe(`{"key":${JSON.stringify(`Bearer ${VALUE}`)},"n":1e400}`);
  });

  it('is found by its name whatever the case and the spaces, and by its id', async () => {
    const by = ['secret:api_key', "secret: 'nested KEY'", `secret_id:${ids.get('API_KEY')}`];
    const { body } = await sent({ body: JSON.stringify(by.map((one) => `{{${one}}}`)) });
    expect(JSON.parse(body)).toEqual([VALUE, NESTED, VALUE]);
  });

  it('is the value in a query, in a form and in a text', async () => {
    expect((await sent({ path: '/a?k={{secret:API_KEY}}', headers: {} })).url).toBe(
      `/a?k=${encodeURIComponent(VALUE)}`,
    );
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(
      new URLSearchParams((await sent({ body: 'k=%7B%7Bsecret:API_KEY%7D%7D', headers: form })).body),
    ).toEqual(new URLSearchParams({ k: VALUE }));
    const plain = { 'content-type': 'text/plain' };
    expect((await sent({ body: '<{{ secret : API_KEY }}>', headers: plain })).body).toBe(`<${VALUE}>`);
  });

  it('is rendered once: what the value holds is never looked at', async () => {
    expect(JSON.parse((await sent({ body: '["{{secret:Nested_key}}"]' })).body)).toEqual([NESTED]);
  });

  it('goes to hosts below a star, and without a body of our own in transparent mode', async () => {
    expect((await sent({ body: '["{{secret:BELOW}}"]' })).body).toBe('["below-value"]');
    const transparent = { ...JSON_TYPE, 'x-knox-proxy-mode': 'transparent' };
    const body = '["{{secret:API_KEY}}"]';
    expect((await sent({ body, headers: transparent })).body).toBe(body);
  });

  it('in a header travels as it is', async () => {
    let seen: string | string[] | undefined;
    server.answer = (request, response) => {
      seen = request.headers['x-own'];
      response.end();
    };
    await call({ headers: { 'x-own': '{{secret:API_KEY}}' } });
    expect(seen).toBe('{{secret:API_KEY}}');
  });

  it('is sent although it has expired, where the expiry is not strict', async () => {
    expect((await sent({ body: '["{{secret:OLD}}"]' })).body).toBe('["old-value"]');
    const warningOf = async (one: Sent) => {
      const { headers } = await call(one);
      return (await logRow(headers.get('x-request-id')!)).warning;
    };
    expect(await warningOf({ body: '["{{secret:OLD}}"]' })).toBe('secret_expired');
    expect(await warningOf({ headers: { ...JSON_TYPE, 'x-knox-upstream-auth-secret': 'OLD' } })).toBe(
      'secret_expired',
    );
    expect(await warningOf({ body: '["{{secret:API_KEY}}"]' })).toBeNull();
  });

  it('stays as it is behind a backslash', async () => {
    expect((await sent({ body: '["\\\\{{secret:API_KEY}}"]' })).body).toBe('["{{secret:API_KEY}}"]');
  });
});

describe('what comes back and what is kept', () => {
  it('is the placeholder in place of the value', async () => {
    server.answer = async (request, response) => {
      const body = await text(request);
      response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(body) }).end(body);
    };
    const { text: answer, headers } = await call({ body: '["{{secret:API_KEY}}"]' });
    expect([answer, headers.get('x-knox-echo-guarded')]).toEqual(['["{{secret:API_KEY}}"]', '1']);
  });

  it('is masked in the log row, where the caller wrote the value into the path', async () => {
    const { headers } = await call({ path: '/v/charge-42/x', body: '["{{secret:PATHLIKE}}"]' });
    const row = await logRow(headers.get('x-request-id')!);
    expect(row).toMatchObject({ path: '/v/[SECRET]/x', echo: { guarded: 1, not_guarded: 0 } });
  });
});

describe('what is refused before anything is sent', () => {
  it.each([
    ['{{secret:UNBOUND}}', 403, 'egress_blocked', 'allowed_hosts'],
    ['{{secret:NO_SUCH}}', 400, 'secret_not_found', 'NO_SUCH'],
    ['{{secret_id:NO_SUCH}}', 400, 'secret_not_found', 'NO_SUCH'],
    ['{{secret:a b}}', 400, 'template_error', 'secret expression'],
  ])('%s is %i %s', async (placeholder, status, type, words) => {
    const before = server.upstream.requests.length;
    const answer = await call({ body: JSON.stringify(['{{secret:API_KEY}}', placeholder]) });
    const { error } = JSON.parse(answer.text);
    expect([answer.status, error.type]).toEqual([status, type]);
    expect(error.message).toContain(words);
    expect(answer.text).not.toContain('sk-live');
    expect(server.upstream.requests.length).toBe(before);
  });

  it('knows nothing of another mode', async () => {
    const body = JSON.stringify(['{{secret:API_KEY}}', `{{secret_id:${ids.get('API_KEY')}}}`]);
    const answer = await call({ body, key: server.bootstrap.test_api_key });
    expect(JSON.parse(answer.text).error.type).toBe('secret_not_found');
  });
});

describe('a dry run', () => {
  const dry = { ...JSON_TYPE, 'x-knox-dry-run': '1' };

  it('shows a mask, opens nothing and sends nothing', async () => {
    const before = server.upstream.requests.length;
    const body = '{"key":"{{secret:API_KEY}}"}';
    const { data } = JSON.parse((await call({ path: '/a?k={{secret:API_KEY}}', body, headers: dry })).text);
    expect(data).toMatchObject({ would_send: true, body_preview: '{"key":"[SECRET]"}' });
    expect(data.url).toBe(`${server.target}/a?k=%5BSECRET%5D`);
    expect(server.upstream.requests.length).toBe(before);
  });

  it.each([
    ['{{secret:UNBOUND}}', 403, 'egress_blocked'],
    ['{{secret:NO_SUCH}}', 400, 'secret_not_found'],
  ])('tells that %s would be refused', async (placeholder, status, type) => {
    const { data } = JSON.parse((await call({ body: JSON.stringify([placeholder]), headers: dry })).text);
    expect(data).toMatchObject({ would_send: false, refusal: { type, status } });
    expect(data.rules.at(-1)).toEqual({ name: 'values', verdict: 'refused' });
  });
});
