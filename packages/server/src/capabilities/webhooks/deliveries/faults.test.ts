import type { ServerResponse } from 'node:http';
import { Webhooks } from '@octokit/webhooks';
// The whole package is a web server and more.
import { verifySlackRequest } from '@slack/bolt/dist/receivers/verify-request.js';
import Stripe from 'stripe';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { turns } from '../../../testing/egress-rig.js';
import {
  type Received,
  type Receiver,
  startWebhookRig,
  type WebhookRig,
} from '../../../testing/webhook-rig.js';

const FORMATS = ['stripe', 'github', 'slack'] as const;
type Format = (typeof FORMATS)[number];

const EVENTS = 3;
const TIMEOUT_SECONDS = 5;
/** 0, 1, 6, 31, 156, 781, 3,906 s, each wait up to a quarter longer: the last is behind an hour of failures. */
const RETRIES = 6;
const INSIDE = 'inside.example.com';

interface Fault {
  readonly name: string;
  readonly answers: (response: ServerResponse) => void;
  /** Null: until so many tries are there. */
  readonly seconds: number | null;
  readonly tries: number;
  readonly told: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'answers 500 for an hour',
    answers: (response) => void response.writeHead(500).end('no'),
    seconds: 3_600,
    tries: 6,
    told: /^The receiver answered 500$/,
  },
  {
    name: 'redirects to a private address',
    answers: (response) => void response.writeHead(307, { location: 'https://10.1.2.3/hook' }).end(),
    seconds: 120,
    tries: 4,
    told: /^The receiver answered 307; redirects are not followed$/,
  },
  {
    name: 'redirects to a name with a private address',
    answers: (response) => void response.writeHead(302, { location: `https://${INSIDE}/hook` }).end(),
    seconds: 120,
    tries: 4,
    told: /^The receiver answered 302; redirects are not followed$/,
  },
  {
    name: 'takes the request and closes the connection',
    answers: (response) => void response.socket!.destroy(),
    seconds: 120,
    tries: 4,
    told: /^upstream_unreachable/,
  },
  {
    name: 'does not answer in its time',
    answers: () => {},
    seconds: null,
    tries: 2,
    told: /^upstream_timeout/,
  },
];

interface Tried extends Received {
  readonly atMs: number;
}

interface Side {
  readonly format: Format;
  readonly id: string;
  readonly secret: string;
  readonly receiver: Receiver;
  /** Everything that came, and what of it was answered with 200. */
  readonly tried: Tried[];
  readonly taken: Tried[];
}

let rig: WebhookRig;
let sides: Side[];

beforeEach(async () => {
  rig = await startWebhookRig();
  rig.dns.set(INSIDE, ['10.1.2.3']);
  sides = [];
  for (const format of FORMATS) sides.push(await makeSide(format));
  await rig.settle();
  for (const { tried, taken } of sides) for (const list of [tried, taken]) list.length = 0;
});
afterEach(() => rig.close());

async function makeSide(format: Format): Promise<Side> {
  const receiver = await rig.receiver(`${format}.example.com`);
  const made = await rig.make({
    name: format,
    url: receiver.url,
    hmac_format: format,
    max_retries: RETRIES,
    timeout_seconds: TIMEOUT_SECONDS,
  });
  const side: Side = {
    format,
    id: made['id'] as string,
    secret: made['secret_key'] as string,
    receiver,
    tried: [],
    taken: [],
  };
  answerAll([side], null);
  return side;
}

function answerAll(of: readonly Side[], fault: Fault['answers'] | null): void {
  for (const { receiver, tried, taken } of of)
    receiver.answer = (received, response) => {
      const one = { ...received, atMs: rig.harness.clock.nowMs() };
      tried.push(one);
      if (fault !== null) fault(response);
      else {
        taken.push(one);
        response.end();
      }
    };
}

/** By each maker's own library, at the time at which it came. */
async function verifies({ format, secret }: Side, { body, headers, atMs }: Tried): Promise<boolean> {
  switch (format) {
    case 'stripe':
      return Stripe.webhooks.signature!.verifyHeader(
        body,
        headers['stripe-signature'] as string,
        secret,
        300,
        undefined,
        atMs,
      );
    case 'github':
      return new Webhooks({ secret }).verify(body, headers['x-hub-signature-256'] as string);
    case 'slack':
      verifySlackRequest({
        signingSecret: secret,
        body,
        headers: {
          'x-slack-signature': headers['x-slack-signature'] as string,
          'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']),
        },
        nowMilliseconds: atMs,
      });
      return true;
  }
}

const idOf = ({ headers }: Received) => String(headers['x-webhook-id']);
const nameOf = ({ body }: Received) => JSON.parse(body).data.details.vault as string;
const triesOf = (tried: readonly Tried[]) =>
  [...new Set(tried.map(idOf))].map((id) => tried.filter((one) => idOf(one) === id).length);

/** In steps in which the job's lease is renewed. */
async function pass(seconds: number, stepSeconds = 5): Promise<void> {
  for (let passed = 0; passed < seconds; passed += stepSeconds) await rig.advance(stepSeconds * 1_000);
}

/**
 * Who hangs: once so many tries hang, their time passes at once. The job looks for more four times a second, and has had a
 * while for each look; all of it is less than the time of the first who hangs.
 */
async function passTries(tries: number): Promise<void> {
  for (let n = 1; n <= tries; n++) {
    let passedMs = 0;
    for (let look = 0; sides.some(({ tried }) => tried.length < EVENTS * n); look++) {
      if (look % 4 === 0 && passedMs < (TIMEOUT_SECONDS - 1) * 1_000) {
        rig.harness.clock.advance(250);
        passedMs += 250;
      }
      await rig.harness.db.flush();
      await turns(500);
    }
    await rig.advance(TIMEOUT_SECONDS * 1_000);
  }
}

it.each(FAULTS)('a receiver that $name, and then recovers, gets each event once', async (fault) => {
  const names = Array.from({ length: EVENTS }, (_, n) => `v${n}`);
  answerAll(sides, fault.answers);
  for (const name of names) {
    const made = await rig.harness.call('POST', '/v1/vaults', {
      key: rig.harness.tenant.live,
      body: { name },
    });
    expect(made.status).toBe(201);
  }
  await rig.harness.db.flush();
  if (fault.seconds === null) await passTries(fault.tries);
  else await pass(fault.seconds);
  const triesBefore = sides.map(({ tried }) => triesOf(tried));
  for (const [n, { id }] of sides.entries()) {
    expect(triesBefore[n]).toEqual(names.map(() => fault.tries));
    const failed = (await rig.logs(id)).find(({ success }) => success === false);
    expect(failed!['error_message']).toMatch(fault.told);
  }

  answerAll(sides, null);
  await pass(3 * 3_600, 60);
  for (const [n, side] of sides.entries()) {
    const { tried, taken, id } = side;
    expect(taken.map(nameOf).sort()).toEqual(names);
    // What was taken is not sent again, and what was sent again has the id that it had.
    expect(triesOf(tried)).toEqual(triesBefore[n]!.map((tries) => tries + 1));
    for (const one of tried) expect(await verifies(side, one)).toBe(true);
    const stamps = tried.map(({ headers }) => Number(headers['x-webhook-timestamp']) * 1_000);
    for (const [at, { atMs }] of tried.entries()) expect(atMs - stamps[at]!).toBeLessThan(1_000);
    const { data } = (await rig.harness.call('GET', `/v1/webhooks/${id}`, { key: rig.harness.tenant.live }))
      .json;
    expect(data).toMatchObject({ failure_count: 0, success_count: data.trigger_count });
  }
  expect(new Set(rig.dialled)).toEqual(new Set(['127.0.0.1']));
  expect(rig.dns.queries.map(({ name }) => name)).not.toContain(INSIDE);
});

it('a receiver whose name becomes a private address is not dialled, and gets its events once it is back', async () => {
  for (const { format } of sides) rig.dns.set(`${format}.example.com`, ['10.1.2.3']);
  await rig.advance(61_000);
  const dialledBefore = rig.dialled.length;
  await rig.harness.call('POST', '/v1/vaults', { key: rig.harness.tenant.live, body: { name: 'v0' } });
  await pass(120);
  for (const { tried, id } of sides) {
    expect(tried).toEqual([]);
    expect((await rig.logs(id))[0]!['error_message']).toMatch(/^ssrf_blocked/);
  }
  expect(rig.dialled.length).toBe(dialledBefore);
  for (const { format } of sides) rig.dns.set(`${format}.example.com`, ['127.0.0.1']);
  await pass(3_600);
  for (const { taken } of sides) expect(taken.map(nameOf)).toEqual(['v0']);
});
