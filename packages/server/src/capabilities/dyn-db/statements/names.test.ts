import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { fuzz } from '../../../testing/fuzz.js';
import { generateUsername, parseUsernameTemplate, usernameFromTemplate } from './names.js';

/** Draws `r` only, so that the random part can be told from the rest. */
const random = { text: (_alphabet: string, length: number) => 'r'.repeat(length) };
const VALUES = { actor: 'Ada.Lovelace@example.com', role: 'Read Only', connection: 'orders' };

function made(template: string, max = 63, values = VALUES): string {
  return usernameFromTemplate(parseUsernameTemplate('username_template', template, max), values, max, random);
}

it('a generated name has 28 characters and is its own in lower case', () => {
  const names = Array.from({ length: 200 }, () => generateUsername(systemRandom));
  for (const name of names) expect(name).toMatch(/^kc_user_[a-z0-9]{20}$/);
  expect(new Set(names).size).toBe(200);
});

describe('a template of user names', () => {
  it.each([
    ['{{actor}}', 63, 'kc_user_ada_lovelace_example_com_rrrrrrrrrrrr'],
    ['kc_user_{{actor}}_{{random}}', 63, 'kc_user_ada_lovelace_example_com_rrrrrrrrrrrr'],
    ['{{random}}_{{ role }}_{{connection}}', 63, 'kc_user_rrrrrrrrrrrr_read_only_orders'],
    ['{{actor}}', 32, 'kc_user_ada_lovelac_rrrrrrrrrrrr'],
    ['{{actor}}_{{role}}_{{connection}}', 40, 'kc_user_ada_lo_read_o_order_rrrrrrrrrrrr'],
    ['app', 63, 'kc_user_app_rrrrrrrrrrrr'],
    ['kc_user_', 63, 'kc_user_rrrrrrrrrrrr'],
  ])('%s in %i characters', (template, max, name) => {
    expect(made(template, max)).toBe(name);
  });

  it.each([
    ['Zoë Müller', 'kc_user_zoe_muller_rrrrrrrrrrrr'],
    ['日本', 'kc_user__rrrrrrrrrrrr'],
    ['', 'kc_user__rrrrrrrrrrrr'],
    ["'; DROP ROLE x --", 'kc_user_drop_role_x_rrrrrrrrrrrr'],
    ['{{random}}', 'kc_user_random_rrrrrrrrrrrr'],
  ])('the actor %j', (actor, name) => {
    expect(made('{{actor}}', 63, { ...VALUES, actor })).toBe(name);
  });

  it.each([
    ['', 'must be 1 to 200 characters'],
    ['a'.repeat(201), 'must be 1 to 200 characters'],
    ['{{user}}', 'only'],
    ['{{actor', 'only'],
    ['App', 'a-z, 0-9, _'],
    ['a-b', 'a-z, 0-9, _'],
    ['a b', 'a-z, 0-9, _'],
    ['{actor}', 'a-z, 0-9, _'],
    ['{{random}}{{random}}', 'at most once'],
    ['abcdefghijkl', 'leaves no room'],
    ['abcdefghij{{actor}}', 'leaves no room'],
  ])('%j is refused', (template, rule) => {
    expect(() => parseUsernameTemplate('username_template', template, 32)).toThrow(
      new RegExp(`^username_template: .*${rule}`),
    );
  });

  test('whatever the values, the name is whole, short enough and in its characters', () => {
    const template = fc
      .array(fc.constantFrom('{{actor}}', '{{role}}', '{{connection}}', '_', 'x'), {
        maxLength: 5,
        minLength: 1,
      })
      .map((parts) => parts.join(''));
    const values = fc.record({
      actor: fc.string({ unit: 'binary' }),
      role: fc.string(),
      connection: fc.string(),
    });
    fc.assert(
      fc.property(template, values, fc.constantFrom(32, 63, 80), (text, drawn, max) => {
        const name = made(text, max, drawn);
        expect(name).toMatch(/^kc_user_[a-z0-9_]*r{12}$/);
        expect(name.length).toBeLessThanOrEqual(max);
      }),
      fuzz(500),
    );
  });
});
