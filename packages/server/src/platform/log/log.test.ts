import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { createLogger } from './logger.js';
import { maskCredentials, sanitiseDetails } from './mask.js';
import { createRequestLog, type RequestLine } from './request-log.js';

describe('maskCredentials', () => {
  it.each([
    ['key tk_live_abcdefghijkl_S3cretS3cret!', 'key tk_live_abcdefghijkl_[REDACTED]!'],
    ['tk_test_abcdefghijkl_S3cret', 'tk_test_abcdefghijkl_[REDACTED]'],
    ['AKEabcdefghijklm_S3cret', 'AKEabcdefghijklm_[REDACTED]'],
    ['kc_live_0123456789abcdef', 'kc_live_[REDACTED]'],
    ['Authorization: bearer abcdef0123456789', 'Authorization: bearer [REDACTED]'],
    ['eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl', '[REDACTED]'],
    ['postgres://knox:hunter2@db.internal/knox', 'postgres://[REDACTED]@db.internal/knox'],
    ['a -----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY----- b', 'a [REDACTED] b'],
  ])('%s', (text, masked) => {
    expect(maskCredentials(text)).toBe(masked);
  });

  it.each(['tk_live_abcdefghijkl', 'owner@localhost', 'vault customers', 'tok_abc', 'basic plan'])(
    'leaves %s',
    (text) => {
      expect(maskCredentials(text)).toBe(text);
    },
  );

  it('is fast on long text that never closes a pattern', () => {
    const text = `${'-----BEGIN PRIVATE KEY-----'.repeat(200)}${'a://'.repeat(5000)}`;
    expect(maskCredentials(text)).not.toContain('BEGIN');
  });
});

describe('sanitiseDetails', () => {
  it('copies a member whatever its name is, and what cannot be stored in another form', () => {
    const text = '{"__proto__":{"a":"1"},"b":"x\\u0000y","\\ud800":"\\ud83d\\ude00 \\udc00"}';
    const copy = sanitiseDetails(JSON.parse(text)) as object;
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"a":"1"},"b":"x\ufffdy","\ufffd":"😀 \ufffd"}');
  });

  it('masks by shape and by name, and keeps the rest', () => {
    expect(
      sanitiseDetails({
        name: 'ci',
        password: 'hunter2',
        url: 'https://u:p@example.com/x',
        nested: [{ api_key: 'x' }, new Secret('canary')],
        count: 3,
        absent: undefined,
      }),
    ).toEqual({
      name: 'ci',
      password: '[REDACTED]',
      url: 'https://[REDACTED]@example.com/x',
      nested: [{ api_key: '[REDACTED]' }, '[SECRET]'],
      count: 3,
    });
  });

  it('is bounded in depth, width and length', () => {
    let deep: unknown = 'x';
    for (let i = 0; i < 50; i++) deep = { deep };
    expect(JSON.stringify(sanitiseDetails(deep))).toContain('[TRUNCATED]');
    expect(sanitiseDetails(Array.from({ length: 500 }, () => 1))).toHaveLength(100);
    expect(String(sanitiseDetails('y'.repeat(5000)))).toHaveLength(2001);
  });

  it('leaves nothing that storage refuses', () => {
    expect(sanitiseDetails('a\0b\ud800')).toBe('a\ufffdb\ufffd');
    expect(sanitiseDetails(Number.NaN)).toBeNull();
  });
});

describe('createLogger', () => {
  it('writes an error without its further members, its text masked', () => {
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line) => lines.push(line) });
    const cause = Object.assign(new Error('dial postgres://knox:hunter2@db'), { config: 'canary-config' });
    logger.error({ err: new Error('outer', { cause }) }, 'failed');
    const line = lines.join('');
    expect(line).not.toContain('hunter2');
    expect(line).not.toContain('canary-config');
    expect(JSON.parse(line)).toMatchObject({ level: 'error', msg: 'failed', err: { message: 'outer' } });
  });
});

describe('openStdoutLogger', () => {
  // The real destination: every other test gives the logger a sink. 5,000 lines are more than a pipe holds.
  it.each([0, 1, 5_000])('loses none of %d lines when the process exits after its flush', (count) => {
    const program = `
      import { systemClock } from './src/kernel/clock.ts';
      import { openStdoutLogger } from './src/platform/log/logger.ts';
      const { logger, flush } = openStdoutLogger('info', systemClock);
      for (let i = 0; i < ${count}; i++) logger.info({ i, filler: 'x'.repeat(200) });
      await flush();
      process.exit(0);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', program];
    const cwd = new URL('../../..', import.meta.url);
    const out = execFileSync(process.execPath, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 24 });
    expect(out.split('\n').filter((line) => line.endsWith('}'))).toHaveLength(count);
  });
});

describe('the line of a request', () => {
  const line: RequestLine = {
    method: 'M-SEARCH',
    path: '/v1/a',
    status: 200,
    durationMs: 12.34,
    requestId: 'id',
    tenant: undefined,
    keyId: undefined,
    userId: undefined,
    oauthTokenId: undefined,
    inboundRequestId: undefined,
    isAborted: false,
  };
  function written(given: Partial<RequestLine>): unknown {
    const lines: string[] = [];
    const clock = { nowMs: () => 0 };
    createRequestLog('info', { write: (text) => void lines.push(text) }, clock)({ ...line, ...given });
    expect(lines.join('')).toMatch(/^[^\n]+\n$/);
    return JSON.parse(lines.join(''));
  }
  const head = { level: 'info', time: '1970-01-01T00:00:00.000Z', msg: 'request' };

  it('leaves out what is not known', () => {
    const known = { ...head, method: 'M-SEARCH', path: '/v1/a', status: 200, ms: 12.3, request_id: 'id' };
    expect(written({})).toEqual(known);
    const all = { tenant: 't', keyId: 'k', userId: 'u', oauthTokenId: 'o', inboundRequestId: 'i' };
    expect(written({ ...all, isAborted: true })).toEqual({
      ...known,
      ...{ tenant: 't', key_id: 'k', user_id: 'u', oauth_token_id: 'o', inbound_request_id: 'i' },
      aborted: true,
    });
  });

  it.each(['"', '\\', 'a"},{"b":"', '\n\r\t', '\0', '\u007f', 'é', '😀', '\ud800', '\u2028', ' ~!#[]'])(
    'holds %j as a text',
    (text) => {
      expect(written({ path: text, tenant: text, inboundRequestId: text })).toMatchObject({
        path: JSON.parse(JSON.stringify(text)),
        tenant: text,
        inbound_request_id: text,
      });
    },
  );

  it.each([
    [0, 0],
    [0.04, 0],
    [0.05, 0.1],
    [9.96, 10],
    [1234.56, 1234.6],
    [1e7 + 0.1, 10_000_000.1],
  ])('tells %d ms as %d', (durationMs, ms) => {
    expect(written({ durationMs })).toMatchObject({ ms });
  });
});
