import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  Counter,
  createInstruments,
  type Histogram,
  type Instruments,
} from '../platform/telemetry/instruments.js';
import { type ProxyFixture, startProxyFixture } from '../testing/proxy-fixture.js';
import { kmsCalls } from './telemetry.js';

let instruments: Instruments;
let proxy: ProxyFixture;
beforeEach(async () => {
  instruments = createInstruments();
  proxy = await startProxyFixture({ instruments });
});
afterEach(() => proxy.close());

/** By the values of its labels. */
function countsOf(name: string): Record<string, number> {
  const family = instruments.families().find((one) => one.name === name);
  return Object.fromEntries(
    (family?.series ?? []).map(({ labels, instrument }) => [
      Object.values(labels).join(' '),
      instrument instanceof Counter ? instrument.value : 0,
    ]),
  );
}

const to = (url: string) => ({ headers: { 'x-knox-proxy-url': url } });

describe('proxied calls', () => {
  it('are counted by how they ended', async () => {
    await proxy.call();
    await proxy.call();
    await proxy.call({ key: 'tk_live_none' });
    await proxy.call({ key: 'unknown' });
    await proxy.close();
    expect(countsOf('knox_proxy_calls_total')).toEqual({ ok: 2, forbidden: 1 });
    expect(countsOf('knox_http_errors_total')).toEqual({ 'proxy forbidden': 1, 'proxy invalid_api_key': 1 });
    expect(countsOf('knox_http_requests_total')).toEqual({ 'proxy POST 2xx': 2, 'proxy POST 4xx': 2 });
  });

  it('are timed up to the upstream’s headers', async () => {
    proxy.upstream = (_request, response) => {
      proxy.clock.advance(40);
      response.end();
    };
    await proxy.call();
    const family = instruments.families().find(({ name }) => name === 'knox_proxy_upstream_duration_seconds');
    const upstream = family!.series[0]!.instrument as Histogram;
    expect(upstream.sum).toBeCloseTo(0.04);
    expect(upstream.counts.reduce((all, one) => all + one)).toBe(1);
  });
});

it('attempts at a KMS are counted by how they ended, and timed', () => {
  const own = createInstruments();
  const count = kmsCalls(own);
  const call = { provider: 'aws', op: 'wrap', result: 'throttled', seconds: 0.2 } as const;
  for (const result of ['throttled', 'throttled', 'ok'] as const) count({ ...call, result });
  const [calls, latency] = own.families();
  expect(calls!.series.map(({ labels, instrument }) => [labels, (instrument as Counter).value])).toEqual([
    [{ provider: 'aws', op: 'wrap', result: 'throttled' }, 2],
    [{ provider: 'aws', op: 'wrap', result: 'ok' }, 1],
  ]);
  expect(latency!.series).toHaveLength(1);
  expect((latency!.series[0]!.instrument as Histogram).sum).toBeCloseTo(0.6);
});

it('refusals of the guard are counted by rule, whatever the host', async () => {
  for (const url of [
    'https://internal.example.com/',
    'https://169.254.169.254/',
    'https://a.localhost/',
    'https://b.localhost/',
    'http://api.example.com/',
  ])
    await proxy.call(to(url));
  await proxy.close();
  expect(countsOf('knox_egress_refusals_total')).toEqual({
    private: 1,
    ip_literal: 1,
    internal_name: 2,
    url: 1,
  });
});
