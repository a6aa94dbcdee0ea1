import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqlite, type Scene, setScene } from './scene.js';
import { killAll } from './server-process.js';

/** A few for every run; `npm run soak` makes them thousands. This process holds both ends, too: it needs twice as many descriptors. */
const STREAMS = Number(process.env['KNOX_STREAMS'] ?? 200);
const AT_ONCE = 100;
/** What the metrics of a process tell of its descriptors and memory is there on Linux alone. */
const SKIPPED = process.platform === 'linux' ? '' : ' (no descriptors are told of but on Linux)';
/** A connection of an earlier call that was kept alive and is closed meanwhile is one less. */
const KEPT_ALIVE_MAX = 5;
const SECRET = 'sk-live-0123456789';

declare module 'vitest' {
  interface TaskMeta {
    /** What scripts/soak-reporter.mjs tells of streams that last together. */
    streams?: { streams: number; before: Held; during: Held; after: Held };
  }
}

/** What the server says of itself. */
interface Held {
  readonly descriptors: number;
  readonly residentMiB: number;
}

interface Stream {
  readonly ended: Promise<unknown>;
  text: string;
}

afterAll(killAll);

describe.skipIf(SKIPPED !== '')(`many streams of a route at once${SKIPPED}`, () => {
  const agent = new Agent({ keepAlive: false });
  const open = new Set<() => void>();
  let scene: Scene;

  beforeAll(async () => {
    scene = await setScene(await openSqlite(), stream);
    await make('/v1/secrets', { name: 'KEY', value: SECRET });
    await make('/v1/routes', {
      name: 'streams',
      slug: 'streams',
      target_base_url: scene.target,
      inject_headers_json: { 'x-key': '{{secret:KEY}}' },
    });
  }, 60_000);
  afterAll(() => scene?.close());

  function stream(_request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${SECRET}\n\n`);
    open.add(() => response.end('data: last\n\n'));
  }

  async function make(path: string, body: object): Promise<void> {
    const { status, text } = await scene.api('POST', path, body);
    if (status >= 300) throw new Error(`${status} ${text}`);
  }

  /** By its metrics. */
  async function held(): Promise<Held> {
    const text = await (await fetch(`${scene.server.url}/metrics`)).text();
    const gauge = (name: string) => Number(new RegExp(`^\\w*${name} (\\S+)$`, 'm').exec(text)?.[1]);
    return {
      descriptors: gauge('process_open_fds'),
      residentMiB: gauge('process_resident_memory_bytes') / 2 ** 20,
    };
  }

  /** Resolves with its first event. */
  function start(): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const headers = { 'x-knoxcall-key': scene.bootstrap.live_api_key };
      const request = httpRequest(`${scene.server.url}/proxy/streams/x`, { agent, headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`${response.statusCode}`));
        const ended = new Promise((resolveEnd) => response.on('end', resolveEnd).on('error', reject));
        const begun: Stream = { ended, text: '' };
        response.setEncoding('utf8').on('data', (part: string) => {
          begun.text += part;
          resolve(begun);
        });
      });
      request.on('error', reject).end();
    });
  }

  it(`${STREAMS} of them last together, end together, and leave nothing open`, async ({ task }) => {
    const before = await held();
    const begun: Stream[] = [];
    while (begun.length < STREAMS) {
      const count = Math.min(AT_ONCE, STREAMS - begun.length);
      begun.push(...(await Promise.all(Array.from({ length: count }, start))));
    }
    expect(open.size).toBe(STREAMS);
    const during = await held();
    for (const end of open) end();
    await Promise.all(begun.map(({ ended }) => ended));
    expect([...new Set(begun.map(({ text }) => text))]).toEqual(['data: [SECRET]\n\ndata: last\n\n']);

    // One to the client and one to the upstream each; of these some are kept for the next calls.
    expect(during.descriptors - before.descriptors).toBeGreaterThanOrEqual(2 * STREAMS - KEPT_ALIVE_MAX);
    expect(during.descriptors - before.descriptors).toBeLessThanOrEqual(2 * STREAMS + 50);
    await expect
      .poll(async () => (await held()).descriptors, { timeout: 120_000, interval: 500 })
      .toBeLessThanOrEqual(before.descriptors + 50);
    task.meta.streams = { streams: STREAMS, before, during, after: await held() };
  }, 300_000);
});
