import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { restricted } from '../../../testing/vault-harness.js';
import { AnswerActions } from './answer-actions.js';
import { createFieldActions, type FieldActionRule, type FieldActions } from './field-actions.js';

const CARD = '4111111111111111';
const JSON_TYPE = 'application/json';
let harness: Harness;
let actions: FieldActions;
/** A matched client: it may call its routes and nothing else. */
let caller: Caller;

beforeAll(async () => {
  harness = await createHarness();
  actions = createFieldActions(harness);
  caller = restricted(
    harness.callerOf(harness.tenant, 'live'),
    (permission) => permission === 'routes:invoke',
  );
  await make('/v1/crypto/keys', { name: 'pii' });
  await make('/v1/crypto/keys', { name: 'portable', key_type: 'ecdh-p256' });
  await make('/v1/crypto/keys', { name: 'mac', key_type: 'hmac-sha256' });
  await make('/v1/vaults', { name: 'cards', token_format: 'pan' });
  await make('/v1/vaults', { name: 'notes' });
  await make('/v1/vaults', { name: 'open', echo_guard: false });
});
afterAll(() => harness.close());

async function make(path: string, body: object, key = harness.tenant.live) {
  const answer = await harness.call('POST', path, { key, body });
  expect(answer.status, answer.text).toBe(201);
}
function rule(action: FieldActionRule['action'], more: Partial<FieldActionRule> = {}): FieldActionRule {
  const defaults = { selectors: ['$.a'], keyName: null, dataRole: null, contentType: JSON_TYPE };
  return { direction: 'request', ...defaults, ...more, action };
}
const request = async (
  rules: FieldActionRule | FieldActionRule[],
  body: string,
  type: string | null = JSON_TYPE,
) => (await actions.request(caller, [rules].flat(), type, Buffer.from(body))).body.toString();
const response = async (rules: FieldActionRule | FieldActionRule[], body: string, as = caller) => {
  const list = [rules].flat().map((one) => ({ ...one, direction: 'response' as const }));
  return (await actions.response(as, list, JSON_TYPE, Buffer.from(body))).toString();
};
const refusal = (type: string, message: RegExp = /./) =>
  expect.objectContaining({ type, publicMessage: expect.stringMatching(message) });
const audited = async (action: string) =>
  (await harness.call('GET', `/v1/audit-logs?action=${action}&per_page=100`, { key: harness.tenant.live }))
    .json['data'];
const tokenOf = async (vault: string, value: string) => {
  const path = `/v1/vaults/${vault}/tokens`;
  const answer = await harness.call('POST', path, { key: harness.tenant.live, body: { value } });
  return (answer.json['data'] as { token: string }).token;
};

describe('encrypt and decrypt', () => {
  const pii = { keyName: 'pii', selectors: ['$.a', '$.list[*].b'] };

  it('change what is selected and keep every other byte', async () => {
    const body =
      '{ "n": 1.10e+2 ,"a" : "s\\u00e4cret", "list":[{"b":1e400,"c":true},{"b":null}], "n":12345678901234567890 }';
    const sealed = await request(rule('encrypt', pii), body);
    expect(sealed).toMatch(
      /^{ "n": 1\.10e\+2 ,"a" : "knoxcall:v1:[A-Za-z0-9+/=]+", "list":\[{"b":"knoxcall:v1:[A-Za-z0-9+/=]+","c":true},{"b":null}\], "n":12345678901234567890 }$/,
    );
    expect(await request(rule('decrypt', pii), sealed)).toBe(
      '{ "n": 1.10e+2 ,"a" : "säcret", "list":[{"b":"1e400","c":true},{"b":null}], "n":12345678901234567890 }',
    );
  });

  it('keep the types of values under a key of portable values, and bind the role', async () => {
    const portable = { keyName: 'portable', dataRole: 'billing', selectors: ['$.a'] };
    const body = '{"a":{"s":"x","n":1.10,"b":false,"z":null,"l":[1,"2"]},"rest":1}';
    const sealed = await request(rule('encrypt', portable), body);
    expect(sealed.match(/"kc:1:[snb]:/g)).toHaveLength(5);
    expect(sealed).toContain('"z":null');
    // The key stands in the value.
    expect(await request(rule('decrypt', { ...portable, keyName: null }), sealed)).toBe(body);
    await expect(request(rule('decrypt', { selectors: ['$.a'] }), sealed)).rejects.toEqual(
      refusal('decryption_failed'),
    );
  });

  it('open what an ephemeral call has sealed when its recipient calls back', async () => {
    const [blob] = await harness.portable.sealForProxy(harness.callerOf(harness.tenant, 'live'), [
      '{"card":"x"}',
    ]);
    expect(await request(rule('decrypt'), `{"a":"${blob!.reveal()}"}`)).toBe('{"a":{"card":"x"}}');
  });

  it('let pass what is neither form, and nothing that does not open', async () => {
    const other = '{"a":["plain","knoxcall:v:x","kc:1:broken",1,true,null,{}]}';
    expect(await request(rule('decrypt', { keyName: 'pii' }), other)).toBe(other);
    for (const text of ['knoxcall:v1:AAAA', 'knoxcall:v9:AAAA', 'vault:v1:AAAA']) {
      const before = (await audited('crypto.decrypt')).length;
      await expect(request(rule('decrypt', { keyName: 'pii' }), `{"a":"${text}"}`)).rejects.toEqual(
        refusal('decryption_failed'),
      );
      await expect(request(rule('decrypt'), `{"a":"${text}"}`)).rejects.toEqual(refusal('decryption_failed'));
      expect(await audited('crypto.decrypt')).toHaveLength(before);
    }
  });

  it('leave one audit row for a version, which says how many and where', async () => {
    const before = (await audited('crypto.encrypt')).length;
    const sealed = await request(rule('encrypt', { keyName: 'pii' }), '{"a":["x","y","z"]}');
    await request(rule('decrypt', { keyName: 'pii' }), sealed);
    expect(await audited('crypto.encrypt')).toHaveLength(before + 1);
    for (const action of ['crypto.encrypt', 'crypto.decrypt'])
      expect((await audited(action))[0].details).toMatchObject({
        key: 'pii',
        version: 1,
        values: 3,
        via: 'route',
      });
  });

  it('name what is wrong with their key', async () => {
    const of = (keyName: string) => request(rule('encrypt', { keyName }), '{"a":"x"}');
    await expect(of('gone')).rejects.toEqual(refusal('validation_error', /key_name: .*no crypto key "gone"/));
    await expect(of('mac')).rejects.toEqual(refusal('validation_error', /hmac-sha256/));
  });
});

describe('tokenize and detokenize', () => {
  const cards = { keyName: 'cards' };

  it('go there and back, with an audit row each, without a permission of the caller', async () => {
    const before = (await audited('vault.tokenize')).length;
    const sent = await request(rule('tokenize', cards), `{"a":["${CARD}", ${CARD}],"b":1}`);
    const tokens = (JSON.parse(sent) as { a: string[] }).a;
    expect(tokens).toEqual([
      expect.stringMatching(/^411111\d{6}1111$/),
      expect.stringMatching(/^411111\d{6}1111$/),
    ]);
    expect(await audited('vault.tokenize')).toHaveLength(before + 2);
    const back = await actions.request(caller, [rule('detokenize', cards)], JSON_TYPE, Buffer.from(sent));
    expect(back.body.toString()).toBe(`{"a":["${CARD}", "${CARD}"],"b":1}`);
    expect(back.values.map(({ value, ...rest }) => ({ ...rest, value: value.reveal() }))).toEqual(
      tokens.map((token) => ({ token, isGuarded: true, value: CARD })),
    );
    for (const action of ['vault.tokenize', 'vault.detokenize'])
      expect((await audited(action))[0].details).toMatchObject({ vault: 'cards', via: 'route' });
    expect(JSON.stringify(await audited('vault.detokenize'))).not.toContain(CARD);
  });

  it('tell of values that no guard looks for', async () => {
    const token = await tokenOf('open', 'a value');
    const { values } = await actions.request(
      caller,
      [rule('detokenize')],
      null,
      Buffer.from(`{"a":"${token}"}`),
    );
    expect(values.map(({ isGuarded }) => isGuarded)).toEqual([false]);
  });

  it('refuse a request whose text is no token; in an answer it stays', async () => {
    const token = await tokenOf('notes', 'a note');
    const body = `{"a":["${token}","tok_UNKNOWNUNKNOWN"]}`;
    const notes = rule('detokenize', { keyName: 'notes' });
    await expect(request(notes, body)).rejects.toEqual(refusal('token_not_found'));
    expect(await response(notes, body)).toBe('{"a":["a note","tok_UNKNOWNUNKNOWN"]}');
  });

  it('are of one tenant and mode', async () => {
    const token = await tokenOf('notes', 'a note');
    const body = `{"a":"${token}"}`;
    for (const as of [harness.callerOf(harness.other, 'live'), harness.callerOf(harness.tenant, 'test')]) {
      expect(await response(rule('detokenize'), body, as)).toBe(body);
      await expect(
        actions.request(as, [rule('tokenize', { keyName: 'notes' })], JSON_TYPE, Buffer.from(body)),
      ).rejects.toEqual(refusal('validation_error', /no vault "notes"/));
    }
  });

  it('name what does not fit, and a vault that is missing or disabled', async () => {
    await expect(request(rule('tokenize', cards), '{"a":[1,"no card"]}')).rejects.toEqual(
      refusal('validation_error', /selected\[0\]\.value/),
    );
    await expect(request(rule('tokenize'), '{"a":"x"}')).rejects.toEqual(
      refusal('validation_error', /no key_name/),
    );
    await harness.vaults.update(harness.callerOf(harness.tenant, 'live'), 'open', { enabled: false });
    for (const action of ['tokenize', 'detokenize'] as const)
      await expect(request(rule(action, { keyName: 'open' }), '{"a":"x"}')).rejects.toEqual(
        refusal('vault_disabled'),
      );
  });
});

describe('which bodies', () => {
  const encrypting = rule('encrypt', { keyName: 'pii' });

  it.each([
    [JSON_TYPE, JSON_TYPE, true],
    [JSON_TYPE, 'application/json; charset=utf-8', true],
    [JSON_TYPE, 'application/vnd.api+json', true],
    [JSON_TYPE, null, true],
    [JSON_TYPE, 'text/plain', false],
    [JSON_TYPE, 'application/x-www-form-urlencoded', false],
    ['application/vnd.api+json', 'Application/vnd.API+json', true],
    ['application/vnd.api+json', JSON_TYPE, false],
    ['text/plain', 'text/plain', false],
  ])('an action for %s looks into %s: %s', async (contentType, sent, expected) => {
    const one = { ...encrypting, contentType };
    expect(actions.applicable([one], 'request', sent)).toHaveLength(expected ? 1 : 0);
    expect(actions.applicable([one], 'response', sent)).toEqual([]);
    expect((await request(one, '{"a":"x"}', sent)) === '{"a":"x"}').toBe(!expected);
  });

  it('what cannot be read is refused before anything is sent; nothing at all is fine', async () => {
    for (const body of ['{"a":', '[1', `${'['.repeat(65)}${']'.repeat(65)}`])
      await expect(request(encrypting, body)).rejects.toEqual(
        refusal('validation_error', /body: is not JSON/),
      );
    await expect(request(encrypting, '{"a":"\\ud800"}')).rejects.toEqual(
      refusal('validation_error', /surrogate/),
    );
    const many = JSON.stringify({ a: Array.from({ length: LIMITS.fieldValuesMax + 1 }, () => 1) });
    await expect(request(encrypting, many)).rejects.toEqual(
      refusal('validation_error', /more than 1000 values/),
    );
    await expect(actions.request(caller, [encrypting], JSON_TYPE, Buffer.from('x'), 'gzip')).rejects.toEqual(
      refusal('validation_error', /Content-Encoding/),
    );
    expect(await request(encrypting, '')).toBe('');
    expect(await request(encrypting, '{"b":"x"}')).toBe('{"b":"x"}');
  });

  it('actions follow one another', async () => {
    const token = await tokenOf('notes', 'a note');
    const chain = [rule('detokenize', { keyName: 'notes' }), encrypting];
    const sent = await request(chain, `{"a":"${token}"}`);
    expect(await request(rule('decrypt', { keyName: 'pii' }), sent)).toBe('{"a":"a note"}');
  });
});

describe('an answer', () => {
  it('is acted on before redaction, or refused as one that cannot be inspected', async () => {
    expect(await response(rule('encrypt', { keyName: 'pii' }), '{"a":"x"}')).toMatch(/^{"a":"knoxcall:v1:/);
    const failing: [FieldActionRule, string][] = [
      [rule('encrypt', { keyName: 'pii' }), '{"a":'],
      [rule('encrypt', { keyName: 'gone' }), '{"a":"x"}'],
      [rule('decrypt', { keyName: 'pii' }), '{"a":"knoxcall:v1:AAAA"}'],
    ];
    for (const [one, body] of failing)
      await expect(response(one, body)).rejects.toEqual(refusal('redaction_failed', /field action/));
  });

  it('is collected up to 5 MiB', async () => {
    const through = async (chunks: Buffer[]) => {
      const transform = new AnswerActions(async (body) => Buffer.from(String(body.length)));
      const [, answer] = await Promise.all([pipeline(Readable.from(chunks), transform), buffer(transform)]);
      return answer.toString();
    };
    const MiB = Buffer.alloc(1024 * 1024, ' ');
    expect(await through(Array.from({ length: 5 }, () => MiB))).toBe(String(5 * MiB.length));
    expect(await through([])).toBe('0');
    const long = Array.from({ length: 6 }, () => MiB);
    await expect(through(long)).rejects.toEqual(refusal('redaction_failed', /longer/));
    const one = { ...rule('encrypt', { keyName: 'pii' }), direction: 'response' } as const;
    await expect(actions.response(caller, [one], JSON_TYPE, Buffer.concat(long))).rejects.toEqual(
      refusal('redaction_failed', /longer/),
    );
  });

  it('that fails in the transform fails with its error', async () => {
    const transform = new AnswerActions(() => Promise.reject(new Error('no')));
    await expect(
      Promise.all([pipeline(Readable.from([Buffer.from('x')]), transform), buffer(transform)]),
    ).rejects.toThrow('no');
  });
});
