import { z } from 'zod';
import { createComponents, type JsonObject } from '../platform/http/openapi/components.js';
import { bodyBytesMaxOf, type RouteDefinition } from '../platform/http/route.js';
import type { TestCall } from './calls.js';

export interface MalformedBody {
  readonly what: string;
  readonly body: unknown;
  /** What a refusal names. */
  readonly field: string;
}

type Body = Readonly<Record<string, unknown>>;

/** One place in a body: what the API description says of it, and a whole body with another value there. */
interface Place {
  readonly path: string;
  /** Of `anyOf` all, else the one. */
  readonly schemas: readonly JsonObject[];
  /** What the sample has there; `undefined` = nothing. */
  readonly value: unknown;
  /** `undefined` leaves the member out. */
  withValue(value: unknown): unknown;
}

/**
 * Every way in which a body breaks its schema in one place: a member that is due is missing, one is of a wrong type or
 * beyond its bounds, or there is one that the schema does not know. What is inside of lists and objects is reached where
 * a sample has it.
 */
export function malformedBodies(schema: z.ZodType, samples: readonly Body[]): MalformedBody[] {
  const found = new Map<string, MalformedBody>();
  for (const place of samples.flatMap((sample) => placesOf(schema, sample))) {
    const name = place.path;
    const add = (what: string, body: unknown, field: string) => {
      const key = `${field || 'body'}: ${what}`;
      if (!found.has(key)) found.set(key, { what: key, body, field: field || 'body' });
    };
    for (const [what, value] of wrongValues(place)) add(what, place.withValue(value), name);
    if (!isObject(place.value)) continue;
    const { properties, required = [] } = objectOf(place) ?? {};
    if (properties === undefined) continue;
    const inside = (member: string) => memberOf(place.path, member);
    add('unknown', place.withValue({ ...place.value, unknown_member: 1 }), inside('unknown_member'));
    for (const member of required as string[])
      add('missing', place.withValue({ ...place.value, [member]: undefined }), inside(member));
  }
  return [...found.values()];
}

/** The members of a schema that no sample has, but for those that can only be null. */
export function membersWithoutSample(schema: z.ZodType, samples: readonly Body[]): string[] {
  const all = new Map<string, boolean>();
  for (const place of samples.flatMap((sample) => placesOf(schema, sample))) {
    const name = place.path;
    all.set(name, all.get(name) === true || place.value !== undefined || isNullAlone(place));
  }
  return [...all].filter(([, isInSample]) => !isInSample).map(([name]) => name);
}

function memberOf(path: string, member: string): string {
  return path === '' ? member : `${path}.${member}`;
}

function placesOf(schema: z.ZodType, sample: Body): Place[] {
  const components = createComponents();
  const root = components.input(schema, 'Body');
  const { schemas } = components.all() as { schemas: Record<string, JsonObject> };

  function alternatives(json: JsonObject): JsonObject[] {
    const ref = json['$ref'];
    if (typeof ref === 'string') return alternatives(schemas[ref.split('/').at(-1)!]!);
    const several = (json['anyOf'] ?? json['oneOf']) as JsonObject[] | undefined;
    return several ? several.flatMap(alternatives) : [json];
  }

  function placesAt(place: Place): Place[] {
    const { path, value, withValue } = place;
    const places = [place];
    const { properties = {} } = objectOf(place) ?? {};
    if (isObject(value)) {
      for (const [member, json] of Object.entries(properties as Record<string, JsonObject>)) {
        places.push(
          ...placesAt({
            path: memberOf(path, member),
            schemas: alternatives(json),
            value: value[member],
            withValue: (next) => withValue({ ...value, [member]: next }),
          }),
        );
      }
    }
    const items = place.schemas.find(({ type }) => type === 'array')?.['items'] as JsonObject | undefined;
    if (items && Array.isArray(value) && value.length > 0) {
      const [first, ...rest] = value as unknown[];
      places.push(
        ...placesAt({
          path: `${path}[0]`,
          schemas: alternatives(items),
          value: first,
          withValue: (next) => withValue([next, ...rest]),
        }),
      );
    }
    return places;
  }

  return placesAt({ path: '', schemas: alternatives(root), value: sample, withValue: (value) => value });
}

const OF_EACH_TYPE: Readonly<Record<string, unknown>> = {
  'a text': ' no such value ',
  'a fraction': 0.5,
  'a truth value': true,
  'a null': null,
  'a list': [],
  'an object': {},
};

function* wrongValues(place: Place): Generator<[what: string, value: unknown]> {
  const { schemas, value } = place;
  for (const [what, wrong] of Object.entries(OF_EACH_TYPE))
    if (!schemas.some((json) => admits(json, wrong))) yield [what, wrong];
  for (const json of schemas) {
    const { minLength, maxLength, minimum, maximum, maxItems, minItems } = json as Record<string, number>;
    if (minLength !== undefined && minLength > 0) yield ['too short', 'x'.repeat(minLength - 1)];
    if (maxLength !== undefined) yield ['too long', 'x'.repeat(maxLength + 1)];
    if (minimum !== undefined) yield ['too small', minimum - 1];
    if (maximum !== undefined) yield ['too large', maximum + 1];
    if (minItems !== undefined && minItems > 0) yield ['too few', []];
    if (maxItems !== undefined && Array.isArray(value) && value.length > 0)
      yield ['too many', Array(maxItems + 1).fill(value[0])];
  }
}

/** Whether a schema lets a value of that type in; of texts also whether it lets any text in. */
function admits(json: JsonObject, value: unknown): boolean {
  if (json['const'] !== undefined) return json['const'] === value;
  if (Array.isArray(json['enum'])) return json['enum'].includes(value);
  const types = [json['type'] ?? []].flat() as string[];
  if (types.length === 0) return true;
  if (typeof value === 'string' && (json['pattern'] ?? json['format']) !== undefined) return false;
  return types.includes(typeOf(value));
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function objectOf({ schemas }: Place): JsonObject | undefined {
  return schemas.find((json) => json['properties'] !== undefined);
}

function isNullAlone({ schemas }: Place): boolean {
  return schemas.every(({ type }) => type === 'null');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeOf(value) === 'object';
}

export interface MalformedCall {
  readonly what: string;
  readonly call: TestCall;
  /** The field is among those that the answer names; without one it names none. */
  readonly refused: readonly [status: number, type: string, field?: string];
}

/** Every way in which the body of a call is refused, before the route's own rules. */
export function malformedCalls(definition: RouteDefinition, samples: readonly Body[]): MalformedCall[] {
  const { body: schema } = definition;
  const bodyBytesMax = bodyBytesMaxOf(definition);
  const bad = (what: string, payload: string | Buffer, field = 'body'): MalformedCall => ({
    what,
    call: { payload },
    refused: [400, 'validation_error', field],
  });
  const text = JSON.stringify(samples[0] ?? {});
  const ofType = (type: string): MalformedCall => ({
    what: `as ${type}`,
    call: { payload: text, headers: { 'content-type': type } },
    refused: [415, 'unsupported_media_type'],
  });
  return [
    bad('broken JSON', `${text.slice(0, -1)},`),
    bad('two values', `${text}${text}`),
    bad('no UTF-8', Buffer.from([0x22, 0xff, 0x22])),
    ...malformedBodies(schema ?? z.object({}), schema ? samples : [{}]).map(({ what, body, field }) =>
      bad(what, JSON.stringify(body), field),
    ),
    ...['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1'].map(ofType),
    {
      what: 'too large',
      call: { payload: text + ' '.repeat(bodyBytesMax) },
      refused: [413, 'payload_too_large'],
    },
  ];
}
