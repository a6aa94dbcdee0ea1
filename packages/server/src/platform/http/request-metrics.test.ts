import { beforeEach, describe, expect, it } from 'vitest';
import { AppError, type ErrorType } from '../../kernel/errors.js';
import { Counter, createInstruments, type Histogram, type Instruments } from '../telemetry/instruments.js';
import { createRequestMetrics, type RequestMetrics } from './request-metrics.js';

let instruments: Instruments;
let ended: RequestMetrics;
beforeEach(() => {
  instruments = createInstruments();
  ended = createRequestMetrics(instruments, [
    { name: 'proxy', paths: ['/v1/proxy'] },
    { name: 'management', paths: ['/v1'] },
  ]);
});

function call(method: string, url: string, statusCode: number, type?: ErrorType) {
  const refusal = type === undefined ? null : new AppError(type, 'no');
  ended(method, url, { statusCode, writableEnded: true }, refusal, 12);
}

function seriesOf(name: string) {
  const family = instruments.families().find((one) => one.name === name);
  return (family?.series ?? []).map(({ labels, instrument }) => [
    ...Object.values(labels),
    instrument instanceof Counter ? instrument.value : 0,
  ]);
}

describe('requests', () => {
  it('are counted by surface, method and class of status', () => {
    call('POST', '/v1/proxy?a=b', 200);
    call('POST', '/v1/proxy', 204);
    call('GET', '/v1/proxies', 404, 'not_found');
    call('GET', '/v1', 404, 'not_found');
    call('GET', '/', 404, 'not_found');
    expect(seriesOf('knox_http_requests_total')).toEqual([
      ['proxy', 'POST', '2xx', 2],
      ['management', 'GET', '4xx', 2],
      ['other', 'GET', '4xx', 1],
    ]);
    expect(seriesOf('knox_http_errors_total')).toEqual([
      ['management', 'not_found', 2],
      ['other', 'not_found', 1],
    ]);
  });

  it('that were broken off have no status', () => {
    ended('GET', '/v1/vaults', { statusCode: 200, writableEnded: false }, null, 1);
    expect(seriesOf('knox_http_requests_total')).toEqual([['management', 'GET', 'aborted', 1]]);
  });

  it('last as long as they do', () => {
    call('GET', '/v1/vaults', 200);
    const family = instruments.families().find(({ name }) => name === 'knox_http_request_duration_seconds');
    const { instrument } = family!.series.find(({ labels }) => labels['surface'] === 'management')!;
    expect((instrument as Histogram).sum).toBeCloseTo(0.012);
  });

  it('of any method and path make no series of their own', () => {
    for (let i = 0; i < 1_000; i++) call(`M${i}`, `/v1/vaults/${i}`, 200);
    expect(seriesOf('knox_http_requests_total')).toEqual([['management', 'other', '2xx', 1_000]]);
  });
});
