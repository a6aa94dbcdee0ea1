import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forEachDatabase, type Scene, setScene } from './scene.js';
import { killAll, startServer, stopServer } from './server-process.js';

/** Values that may be sought everywhere afterwards: no other test and no clock makes them by chance. */
const CARD = '5200828282828210';
const REQUEST_CANARY = 'canary-request-7f3b1c9e';
const RESPONSE_CANARY = 'canary-response-a85d20f4';

interface UpstreamCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
}

/** The upstream's side of the conversation: each call is handed to the test that expects it. */
function createUpstream() {
  const calls: UpstreamCall[] = [];
  const waiting: ((call: UpstreamCall) => void)[] = [];
  return {
    handler(request: IncomingMessage, response: ServerResponse) {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const call = { request, response, body: Buffer.concat(chunks).toString() };
        const next = waiting.shift();
        if (next) next(call);
        else calls.push(call);
      });
    },
    nextCall(): Promise<UpstreamCall> {
      const call = calls.shift();
      return call ? Promise.resolve(call) : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

function answerJson({ response }: UpstreamCall, body: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
}

const json = (text: string): unknown => JSON.parse(text);
const dataOf = <Data>(text: string) => (JSON.parse(text) as { data: Data }).data;
const errorTypeOf = (text: string) => (JSON.parse(text) as { error: { type: string } }).error.type;
const postJson = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

afterAll(killAll);

forEachDatabase((open) => {
  describe('the main job', () => {
    const upstream = createUpstream();
    const errorTexts: string[] = [];
    let database: Awaited<ReturnType<typeof open>>;
    let scene: Scene;
    let token: string;

    beforeAll(async () => {
      database = await open();
      scene = await setScene(database, upstream.handler);
      await scene.api('POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
      const answer = await scene.api('POST', '/v1/vaults/cards/tokens', { value: CARD });
      token = dataOf<{ token: string }>(answer.text).token;
    });
    afterAll(() => scene?.close());

    it('the caller sends a token, the upstream receives the number, the answer comes back redacted', async () => {
      const rule = {
        name: 'card',
        target: 'response',
        match: { type: 'json_path', value: '$.card' },
        action: 'mask',
      };
      expect(await scene.api('POST', '/v1/redaction-rules', rule)).toMatchObject({ status: 201 });
      const body = { card: `{{ token: cards.${token} }}`, note: REQUEST_CANARY };
      const answering = scene.proxied(`${scene.target}/pay?card={{token:cards.${token}}}`, postJson(body));
      const call = await upstream.nextCall();
      expect(json(call.body)).toEqual({ card: CARD, note: REQUEST_CANARY });
      expect(call.request.url).toBe(`/pay?card=${CARD}`);
      expect(JSON.stringify(call.request.headers)).not.toMatch(/x-knox|tk_live/i);
      expect(call.request.headers.via).toMatch(/^1\.1 knoxcall-[0-9a-f]{8}$/);
      answerJson(call, { card: CARD, approved: true, note: RESPONSE_CANARY });
      const answer = await answering;
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-knox-destination-status')).toBe('200');
      expect(json(answer.text)).toEqual({ card: '[REDACTED]', approved: true, note: RESPONSE_CANARY });
    });

    it('a dry run tells what would be sent, and is no operation', async () => {
      const used = async () => dataOf<unknown>((await scene.api('GET', '/v1/account/usage')).text);
      const before = await used();
      const init = postJson({ card: `{{ token: cards.${token} }}` });
      const answer = await scene.proxied(`${scene.target}/pay?card={{token:cards.${token}}}`, {
        ...init,
        headers: { ...init.headers, 'x-knox-dry-run': '1' },
      });
      expect(answer.headers.has('x-knox-destination-status')).toBe(false);
      expect(dataOf(answer.text)).toMatchObject({
        url: `${scene.target}/pay?card=%5BSECRET%5D`,
        body_preview: '{"card":"[SECRET]"}',
        would_send: true,
        refusal: null,
      });
      expect(await used()).toEqual(before);
    });

    it('server-sent events arrive as they are written', async () => {
      const opening = scene.open(`${scene.target}/events`);
      const { response } = await upstream.nextCall();
      response.setHeader('content-type', 'text/event-stream');
      response.write('data: {"n":1}\n\n');
      const reader = (await opening).body!.getReader();
      const read = async () => Buffer.from((await reader.read()).value ?? []).toString();
      // The second is written only after the first has arrived: a proxy that buffers would never get here.
      expect(await read()).toBe('data: {"n":1}\n\n');
      response.end('data: {"n":2}\n\n');
      expect(await read()).toBe('data: {"n":2}\n\n');
      expect((await reader.read()).done).toBe(true);
    });

    it('a client that leaves aborts the upstream call', async () => {
      const client = new AbortController();
      const opening = scene.open(`${scene.target}/slow`, { signal: client.signal });
      const { response } = await upstream.nextCall();
      const closed = once(response, 'close');
      client.abort();
      await expect(opening).rejects.toThrow();
      await closed;
      expect(response.writableFinished).toBe(false);
    });

    it('nothing goes out for a token of the other mode, an unknown one or an unknown key', async () => {
      const { bootstrap, target } = scene;
      const callOf = (reference: string, key?: string) =>
        scene.proxied(`${target}/pay`, postJson({ card: `{{ token: ${reference} }}` }), key);
      const answers = [
        await callOf(`cards.${token}`, bootstrap.test_api_key),
        await callOf('cards.4000000000000000'),
        await callOf(`cards.${token}`, `${bootstrap.live_api_key}x`),
      ];
      expect(answers.map(({ status, text }) => [status, errorTypeOf(text)])).toEqual([
        [404, 'token_not_found'],
        [404, 'token_not_found'],
        [401, 'invalid_api_key'],
      ]);
      for (const { headers, text } of answers) {
        expect(headers.has('x-knox-destination-status')).toBe(false);
        errorTexts.push(text);
      }
    });

    it.each([
      ['https://169.254.169.254/latest/meta-data/', 400, 'invalid_proxy_url'],
      ['https://cloud.example/latest/meta-data/', 403, 'ssrf_blocked'],
      ['https://intranet.example/', 403, 'ssrf_blocked'],
      ['https://api.payments.example:5432/', 400, 'invalid_proxy_url'],
      ['http://api.payments.example/', 400, 'invalid_proxy_url'],
      ['https://nowhere.example/', 502, 'dns_failure'],
    ])('the guard refuses %s with %i %s and tells no address', async (target, status, type) => {
      const answer = await scene.proxied(`${target}?q={{token:cards.${token}}}`);
      expect([answer.status, errorTypeOf(answer.text)]).toEqual([status, type]);
      expect(answer.text).not.toContain('10.0.0.7');
      errorTexts.push(answer.text);
    });

    it('the call and the token reads stand in the logs', async () => {
      const logs = await logsUntil(scene, ({ status_code }) => status_code === 502);
      expect(logs).toContainEqual(
        expect.objectContaining({
          proxy_mode: 'ephemeral',
          method: 'POST',
          status_code: 200,
          upstream_host: expect.stringContaining('api.payments.example'),
          sandbox: false,
          error: null,
        }),
      );
      expect(logs).toContainEqual(expect.objectContaining({ status_code: 403, error: 'ssrf_blocked' }));
      expect(logs).toContainEqual(expect.objectContaining({ status_code: 200, error: 'dry_run' }));
      const audits = dataOf<{ action: string }[]>(
        (await scene.api('GET', '/v1/audit-logs?per_page=100')).text,
      );
      const count = (action: string) => audits.filter((row) => row.action === action).length;
      // One for the body and one for the query of the one call that went out; none of the dry run.
      expect([count('vault.detokenize'), count('vault.tokenize'), count('tenant.create')]).toEqual([2, 1, 1]);
    });

    it('SIGTERM lets a call under way end, refuses new ones, and the process ends with 0', async () => {
      const body = postJson({ card: `{{ token: cards.${token} }}` });
      const answering = scene.proxied(`${scene.target}/last`, { ...body, method: 'PUT' });
      const call = await upstream.nextCall();
      const stopping = stopServer(scene.server);
      await untilRefused(scene.server.url);
      answerJson(call, { ok: true });
      expect(await answering).toMatchObject({ status: 200, text: '{"ok":true}' });
      expect(await stopping).toMatchObject({ code: 0, signal: null });
    });

    it('what was logged before the stop is there after a start', async () => {
      scene.server = await startServer({ ...scene.environment, KNOX_SHUTDOWN_TIMEOUT_SECONDS: '5' });
      await logsUntil(scene, ({ method }) => method === 'PUT');
    });

    it('a call that does not end is cut when the time is up, and is logged', async () => {
      const answering = scene.proxied(`${scene.target}/endless`, { method: 'PATCH' });
      await upstream.nextCall();
      const stopping = stopServer(scene.server);
      await expect(answering).rejects.toThrow();
      expect(await stopping).toMatchObject({ code: 0, signal: null });
      scene.server = await startServer(scene.environment);
      await logsUntil(scene, ({ method }) => method === 'PATCH');
    });

    it('no secret stands in the data directory, the database, the logs or an error text', async () => {
      const { bootstrap } = scene;
      const { out, error } = await stopServer(scene.server);
      const files = readdirSync(scene.dataDir).filter((name) => name !== 'bootstrap.json');
      const places = new Map(
        files.map((name) => [name, readFileSync(join(scene.dataDir, name)).toString('latin1')]),
      );
      places.set('database', await database.dump());
      places.set('output', out + error);
      places.set('error texts', errorTexts.join('\n'));
      const secrets = {
        card: CARD,
        request: REQUEST_CANARY,
        response: RESPONSE_CANARY,
        password: bootstrap.admin.password,
        liveKey: bootstrap.live_api_key.split('_')[3]!,
        testKey: bootstrap.test_api_key.split('_')[3]!,
      };
      for (const [name, secret] of Object.entries(secrets)) {
        for (const form of formsOf(secret)) {
          const found = [...places].filter(([, text]) => text.includes(form)).map(([place]) => place);
          expect(found, `${name} as ${form.length} characters`).toEqual([]);
        }
      }
      // The search itself works: the vault's name is no secret and is found.
      expect([...places.values()].some((text) => text.includes('cards'))).toBe(true);
    });
  });
});

interface LogRow {
  readonly status_code: number;
  readonly method: string;
  readonly error: string | null;
}

/** The feed ends at its watermark, which on PostgreSQL stays behind the newest row: asked again until it has it. */
async function logsUntil(scene: Scene, isThere: (row: LogRow) => boolean): Promise<LogRow[]> {
  for (;;) {
    const rows = dataOf<LogRow[]>((await scene.api('GET', '/v1/logs?limit=1000')).text);
    if (rows.some(isThere)) return rows;
  }
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
    bytes.toString('utf16le'),
  ];
}

/** Until the listener is closed; a connection that is still accepted is asked again. */
async function untilRefused(url: string): Promise<void> {
  for (;;) {
    const isOpen = await fetch(`${url}/healthz`, { headers: { connection: 'close' } }).then(
      (response) => response.arrayBuffer().then(() => true),
      () => false,
    );
    if (!isOpen) return;
  }
}
