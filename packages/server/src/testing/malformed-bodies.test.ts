import { expect, it } from 'vitest';
import { z } from 'zod';
import { malformedBodies, membersWithoutSample } from './malformed-bodies.js';

const schema = z.object({
  name: z.string().min(1).max(3),
  kind: z.enum(['a', 'b']).nullable().optional(),
  size: z.number().int().min(0).optional(),
  match: z.strictObject({ on: z.boolean() }).optional(),
  tags: z.array(z.string().regex(/^x$/)).max(1).optional(),
  notes: z.record(z.string(), z.unknown()).optional(),
  later: z.null().optional(),
  fixed: z.undefined('cannot be changed').optional(),
});
const whole = { name: 'n', kind: 'a', size: 1, match: { on: true }, tags: ['x'], notes: { any: 1 } };

it('breaks a schema in every place', () => {
  expect(
    malformedBodies(schema, [whole])
      .map(({ what }) => what)
      .sort(),
  ).toEqual(
    [
      ['body', 'a text', 'a fraction', 'a truth value', 'a null', 'a list'],
      ['unknown_member', 'unknown'],
      [
        'name',
        'missing',
        'a fraction',
        'a truth value',
        'a null',
        'a list',
        'an object',
        'too short',
        'too long',
      ],
      ['kind', 'a text', 'a fraction', 'a truth value', 'a list', 'an object'],
      ['size', 'a text', 'a fraction', 'a truth value', 'a null', 'a list', 'an object', 'too small'],
      ['match', 'a text', 'a fraction', 'a truth value', 'a null', 'a list'],
      ['match.unknown_member', 'unknown'],
      ['match.on', 'missing', 'a text', 'a fraction', 'a null', 'a list', 'an object'],
      ['tags', 'a text', 'a fraction', 'a truth value', 'a null', 'an object', 'too many'],
      ['tags[0]', 'a text', 'a fraction', 'a truth value', 'a null', 'a list', 'an object'],
      ['notes', 'a text', 'a fraction', 'a truth value', 'a null', 'a list'],
      ['later', 'a text', 'a fraction', 'a truth value', 'a list', 'an object'],
    ]
      .flatMap(([field, ...ways]) => ways.map((way) => `${field}: ${way}`))
      .sort(),
  );
});

it('leaves the rest of the sample as it is, and names what is broken', () => {
  const bodies = malformedBodies(schema, [whole]);
  expect(bodies.find(({ what }) => what === 'tags[0]: a null')).toEqual({
    what: 'tags[0]: a null',
    body: { ...whole, tags: [null] },
    field: 'tags[0]',
  });
  const strict = schema.strict();
  expect(strict.safeParse(whole).success).toBe(true);
  expect(bodies.filter(({ body }) => strict.safeParse(JSON.parse(JSON.stringify(body))).success)).toEqual([]);
});

it('tells the members that no sample has', () => {
  expect(membersWithoutSample(schema, [whole])).toEqual([]);
  expect(
    membersWithoutSample(schema, [
      { name: 'n', match: {} },
      { tags: ['x'], kind: 'a' },
    ]),
  ).toEqual(['size', 'match.on', 'notes']);
});
