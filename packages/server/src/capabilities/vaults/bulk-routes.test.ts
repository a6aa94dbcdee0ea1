import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isoTime } from '../../kernel/clock.js';
import type { TestAnswer } from '../../testing/calls.js';
import { createVaultHarness, type VaultHarness } from '../../testing/vault-harness.js';

const CARD = '4111 1111 1111 1111';

interface Data {
  readonly id: string;
  readonly token: string;
}
const typeOf = (answer: TestAnswer) => answer.json['error']?.['type'];
const fieldsOf = (answer: TestAnswer) => Object.keys(answer.json['fields'] ?? {});

let harness: VaultHarness;
beforeAll(async () => {
  harness = await createVaultHarness();
  await call('POST', '/v1/vaults', { name: 'bulk', default_ttl_seconds: 3_600 });
  await call('POST', '/v1/vaults', { name: 'bulk-cards', token_format: 'pan' });
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown) =>
  harness.call(method, path, { key: harness.tenant.live, ...(body !== undefined && { body }) });

describe('tokenizing several values', () => {
  const bulk = (vault: string, values: readonly unknown[]) =>
    call('POST', `/v1/vaults/${vault}/tokens/bulk`, { values });
  const totalOf = async (vault: string) =>
    (await call('GET', `/v1/vaults/${vault}/tokens`)).json['meta']['total'] as number;

  it('gives 100 values their tokens in their order, each with what was asked for it', async () => {
    const values = Array.from({ length: 100 }, (_, n) => ({
      value: `value ${n}`,
      ...(n % 2 === 0 && { metadata: { n }, ttl_seconds: 60 + n }),
    }));
    const madeAt = harness.clock.nowMs();
    const answer = await bulk('bulk', values);
    const { tokens, count } = answer.json['data'] as { tokens: Data[]; count: number };
    expect([answer.status, answer.headers['cache-control'], count, tokens.length]).toEqual([
      201,
      'no-store',
      100,
      100,
    ]);
    expect(new Set(tokens.map(({ token }) => token)).size).toBe(100);
    for (const [n, made] of tokens.entries()) {
      const expiresAt = isoTime(madeAt + (n % 2 === 0 ? 60 + n : 3_600) * 1000);
      const read = await call('GET', `/v1/vaults/bulk/tokens/${made.token}`);
      expect(read.json['data']).toEqual({
        ...made,
        expires_at: expiresAt,
        value: `value ${n}`,
        value_b64: expect.any(String),
        metadata: n % 2 === 0 ? { n } : null,
        crypto_key_version: 1,
      });
    }
    const rows = (await call('GET', '/v1/audit-logs?action=vault.tokenize&per_page=100')).json['data'];
    const audited = rows.map(({ details }: { details: { token_id: string } }) => details.token_id);
    expect(audited).toEqual(expect.arrayContaining(tokens.map(({ id }) => id)));
  });

  it('takes the ends of cards', async () => {
    const answer = await bulk('bulk-cards', [
      { value: CARD, card_exp_month: 12, card_exp_year: 2029 },
      { value: CARD },
    ]);
    const ends = answer.json['data'].tokens.map(
      (made: { card_expires_on: string | null }) => made.card_expires_on,
    );
    expect(ends).toEqual(['2029-12-31', null]);
  });

  it('refuses all for the values that do not fit, and names each of them', async () => {
    const before = await totalOf('bulk-cards');
    const answer = await bulk('bulk-cards', [
      { value: CARD },
      { value: '4111111111111112' },
      { value: CARD },
      { value: 'no card' },
    ]);
    expect([answer.status, answer.json['fields']]).toEqual([
      400,
      {
        'values[1].value': ['must satisfy the Luhn check of card numbers'],
        'values[3].value': ['must be a card number of 12 to 19 digits, spaces and dashes aside'],
      },
    ]);
    expect(answer.json['error']['message']).toBe(
      'values[1].value: must satisfy the Luhn check of card numbers (and 1 more)',
    );
    expect(answer.text).not.toContain('4111111111111112');
    expect(await totalOf('bulk-cards')).toBe(before);
  });

  it.each([
    ['values', {}],
    ['values', { values: 'x' }],
    ['values', { values: [] }],
    ['values', { values: Array.from({ length: 101 }, () => ({ value: 'x' })) }],
    ['values', { values: Array.from({ length: 100_000 }, () => 0) }],
    ['values[0]', { values: ['x'] }],
    ['values[1].value', { values: [{ value: 'x' }, {}] }],
    ['values[1].value', { values: [{ value: 'x' }, { value: '' }] }],
    ['values[1].ttl_seconds', { values: [{ value: 'x' }, { value: 'x', ttl_seconds: 0 }] }],
    ['values[0].card_exp_year', { values: [{ value: 'x', card_exp_month: 1 }] }],
    ['values[0].card_exp_month', { values: [{ value: 'x', card_exp_month: 1, card_exp_year: 2030 }] }],
    ['values[0].metadata', { values: [{ value: 'x', metadata: [] }] }],
    ['values[0].unheard_of', { values: [{ value: 'x', unheard_of: 1 }] }],
    ['ttl_seconds', { values: [{ value: 'x' }], ttl_seconds: 60 }],
  ])('refuses %s', async (field, body) => {
    const before = await totalOf('bulk');
    const answer = await call('POST', '/v1/vaults/bulk/tokens/bulk', body);
    expect([answer.status, typeOf(answer), fieldsOf(answer)]).toEqual([400, 'validation_error', [field]]);
    expect(await totalOf('bulk')).toBe(before);
  });

  it('takes 100 of the largest values, and names the one that is too large', async () => {
    const large = { value: 'x'.repeat(65_536), metadata: { a: 'y'.repeat(4_088) } };
    const full = await bulk('bulk', Array(100).fill(large));
    expect(full.status).toBe(201);
    const refused = [
      await bulk('bulk', [{ value: 'x' }, { value: 'x'.repeat(65_537) }]),
      await bulk('bulk', [{ value: 'x' }, { value: 'x', metadata: { a: 'y'.repeat(4_089) } }]),
    ];
    expect(refused.map((answer) => [answer.status, answer.json['error']['message']])).toEqual([
      [413, 'values[1].value: must be at most 65536 bytes'],
      [413, 'values[1].metadata: must be at most 4096 bytes'],
    ]);
  });

  it('is done once for a key, and repeated with its answer', async () => {
    const before = await totalOf('bulk');
    const send = (value: string) =>
      harness.call('POST', '/v1/vaults/bulk/tokens/bulk', {
        key: harness.tenant.live,
        headers: { 'x-idempotency-key': 'bulk-1' },
        body: { values: [{ value }, { value }] },
      });
    const first = await send('x');
    const replay = await send('x');
    expect([replay.status, replay.text, replay.headers['x-idempotent-replay']]).toEqual([
      201,
      first.text,
      'true',
    ]);
    expect(typeOf(await send('y'))).toBe('idempotency_conflict');
    expect(await totalOf('bulk')).toBe(before + 2);
  });

  it('is refused for an unknown vault, and a disabled one', async () => {
    expect((await bulk('nowhere', [{ value: 'x' }])).status).toBe(404);
    await call('POST', '/v1/vaults', { name: 'bulk-off' });
    await call('PATCH', '/v1/vaults/bulk-off', { enabled: false });
    expect(typeOf(await bulk('bulk-off', [{ value: 'x' }]))).toBe('vault_disabled');
  });
});
