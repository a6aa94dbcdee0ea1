import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { type EgressRig, startEgressRig } from '../../testing/egress-rig.js';
import {
  createTestCa,
  type IssuedCertificate,
  startTlsUpstream,
  type TestCa,
  type TlsUpstream,
} from '../../testing/tls-upstream.js';
import type { ClientCertificate } from './egress.js';

let ca: TestCa;
let clientCa: TestCa;
let first: IssuedCertificate;
let second: IssuedCertificate;
let upstream: TlsUpstream;
let rig: EgressRig;
/** Of each request, whom the upstream saw. */
let seen: string[];
let loads: number;

beforeAll(async () => {
  [ca, clientCa] = await Promise.all([createTestCa(), createTestCa('Client CA')]);
  [first, second] = await Promise.all([clientCa.issue(['first']), clientCa.issue(['second'])]);
  upstream = await startTlsUpstream({
    ca,
    names: ['api.example.com'],
    // The test's certificates are for servers; whom they name is what matters here.
    tls: { requestCert: true, rejectUnauthorized: false, ca: clientCa.caPem },
    handler(request, response) {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      seen.push(String(subject?.CN ?? 'nobody'));
      request.resume().on('end', () => response.end());
    },
  });
});
beforeEach(async () => {
  seen = [];
  loads = 0;
  rig = await startEgressRig({
    allowPrivateUpstreams: '127.0.0.0/8:80',
    extraCaPem: ca.caPem,
    records: { 'api.example.com': ['127.0.0.1'] },
  });
  return () => rig.close();
});
afterAll(() => upstream.close());

const certificate = (id: string, version: number, issued: Partial<IssuedCertificate>): ClientCertificate => ({
  id,
  version,
  async load() {
    loads += 1;
    return {
      key: new Secret(issued.keyPem ?? first.keyPem),
      certificatePem: issued.certPem ?? first.certPem,
    };
  },
});
const send = (clientCertificate: ClientCertificate | null, tenantSlug = 'acme') =>
  rig.send(`https://api.example.com:${upstream.port}/`, { clientCertificate, tenantSlug });
const refusal = (message: RegExp) =>
  expect.objectContaining({ type: 'upstream_tls_error', message: expect.stringMatching(message) });

describe('a client certificate', () => {
  it('is shown by calls that have it, and by no other over their connections', async () => {
    const before = upstream.connectionCount();
    for (const one of [
      certificate('a', 1, first),
      null,
      certificate('b', 1, second),
      certificate('a', 1, first),
    ])
      await send(one);
    await send(null);
    expect(seen).toEqual(['first', 'nobody', 'second', 'first', 'nobody']);
    expect(upstream.connectionCount() - before).toBe(3);
    expect(loads).toBe(2);
  });

  it('that was replaced is shown on connections of its own at once', async () => {
    const before = upstream.connectionCount();
    await send(certificate('a', 1, first));
    await send(certificate('a', 2, second));
    await send(certificate('a', 2, second));
    expect(seen).toEqual(['first', 'second', 'second']);
    expect(upstream.connectionCount() - before).toBe(2);
  });

  it('of one tenant is on no connection of another', async () => {
    const before = upstream.connectionCount();
    await send(certificate('a', 1, first), 'acme');
    await send(certificate('a', 1, first), 'other');
    expect(upstream.connectionCount() - before).toBe(2);
  });

  it('is asked for anew after 5 minutes, where a connection is made', async () => {
    await send(certificate('a', 1, first));
    // Idle ones are let go of.
    rig.clock.advance(60_000);
    await send(certificate('a', 1, first));
    expect(loads).toBe(1);
    rig.clock.advance(240_000);
    await send(certificate('a', 1, first));
    expect(loads).toBe(2);
  });

  it('that does not belong to its key fails before a connection, and is asked for again', async () => {
    const before = upstream.connectionCount();
    const torn = certificate('a', 1, { certPem: second.certPem });
    for (let i = 0; i < 2; i++) await expect(send(torn)).rejects.toEqual(refusal(/cannot be used/));
    expect([loads, upstream.connectionCount() - before]).toEqual([2, 0]);
  });

  it('is not left out where the upstream speaks no TLS', async () => {
    const policy = {
      tenantSlug: 'acme',
      allowedHosts: { covers: () => true } as never,
      mayBePlain: true,
    };
    const clock = rig.egress.startClock(1_000, { isGone: false, onGone() {} });
    const url = rig.egress.parse('http://api.example.com/', policy);
    const target = await rig.egress.judge(url, policy, clock);
    const call = { method: 'GET', path: '/', headers: [], body: null, clock, idleTimeoutMs: 1_000 };
    const sending = rig.egress.stream(
      target,
      { ...call, clientCertificate: certificate('a', 1, first) },
      () => {
        throw new Error('no answer is due');
      },
    );
    await expect(sending).rejects.toEqual(refusal(/http:/));
    expect(loads).toBe(0);
  });
});

describe('an upstream that requires one', () => {
  let strict: TlsUpstream;
  beforeAll(async () => {
    strict = await startTlsUpstream({
      ca,
      names: ['api.example.com'],
      tls: { requestCert: true, rejectUnauthorized: true, ca: clientCa.caPem },
    });
  });
  afterAll(() => strict.close());
  const call = (clientCertificate: ClientCertificate | null) =>
    rig.send(`https://api.example.com:${strict.port}/`, { clientCertificate });

  it('answers who shows one of its authority', async () => {
    const issued = await clientCa.issue(['client'], { isClient: true });
    expect((await call(certificate('a', 1, issued))).status).toBe(200);
  });

  it('answers nobody else', async () => {
    const stranger = await ca.issue(['stranger'], { isClient: true });
    for (const one of [null, certificate('a', 1, stranger)])
      await expect(call(one)).rejects.toEqual(
        expect.objectContaining({ type: expect.stringMatching(/^upstream_(tls_error|unreachable)$/) }),
      );
    expect(strict.requests).toHaveLength(1);
  });
});
