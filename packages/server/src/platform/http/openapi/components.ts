import { z } from 'zod';
import { assert } from '../../../kernel/assert.js';
import { strict } from '../validate.js';

export type JsonObject = { [member: string]: unknown };

/** The named parts of the document; what several endpoints say alike stands here once. */
export interface Components {
  /** A reference to the schema of what a caller may send. */
  input(schema: z.ZodType, name: string): JsonObject;
  /** A reference to the schema of what an answer holds. */
  output(schema: z.ZodType, name: string): JsonObject;
  /** The members of an object that callers send in a path or a query, with those that are due. */
  members(schema: z.ZodType): readonly Member[];
  add(kind: ComponentKind, name: string, component: JsonObject): JsonObject;
  all(): JsonObject;
}

export interface Member {
  readonly name: string;
  readonly isRequired: boolean;
  readonly schema: JsonObject;
}

export type ComponentKind = 'schemas' | 'responses' | 'parameters' | 'headers';

type Direction = 'input' | 'output';

export function createComponents(): Components {
  const kinds: Record<ComponentKind, Map<string, JsonObject>> = {
    schemas: new Map(),
    responses: new Map(),
    parameters: new Map(),
    headers: new Map(),
  };

  function add(kind: ComponentKind, name: string, component: JsonObject): JsonObject {
    const known = kinds[kind].get(name);
    const isSame = known === undefined || JSON.stringify(known) === JSON.stringify(component);
    assert(isSame, `two different ${kind} of the API description are called ${name}; give one another id`);
    kinds[kind].set(name, component);
    return { $ref: `#/components/${kind}/${name}` };
  }

  function named(schema: z.ZodType, given: string, io: Direction): JsonObject {
    const name = z.globalRegistry.get(schema)?.id ?? given;
    const { $defs, ...converted } = convert(io === 'input' ? strict(schema) : schema, io);
    for (const [id, definition] of Object.entries(($defs ?? {}) as Record<string, JsonObject>))
      add('schemas', id, definition);
    // A schema with an id of its own has come out as a reference to itself.
    if (converted['$ref'] === refTo(name)) return { $ref: refTo(name) };
    return add('schemas', name, converted);
  }

  return {
    input: (schema, name) => named(schema, name, 'input'),
    output: (schema, name) => named(schema, name, 'output'),
    members(schema) {
      const converted = convert(schema, 'input');
      const due = (converted['required'] ?? []) as readonly string[];
      const members = Object.entries((converted['properties'] ?? {}) as Record<string, JsonObject>);
      return members.map(([name, member]) => ({ name, isRequired: due.includes(name), schema: member }));
    },
    add,
    all: () =>
      Object.fromEntries(
        Object.entries(kinds).map(([kind, components]) => [
          kind,
          Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
        ]),
      ),
  };
}

const refTo = (name: string) => `#/components/schemas/${name}`;

function convert(schema: z.ZodType, io: Direction): JsonObject {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, {
    io,
    // What a transform makes of a value is not on the wire.
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => tidy(zodSchema, jsonSchema as JsonObject, io),
  });
  return withComponentRefs(converted) as JsonObject;
}

/** Takes out what the converter writes and no reader needs. */
function tidy(zodSchema: z.core.$ZodType, json: JsonObject, io: Direction): void {
  // Later versions may add members to an answer.
  if (io === 'output' && json['additionalProperties'] === false) delete json['additionalProperties'];
  if (json['minimum'] === Number.MIN_SAFE_INTEGER) delete json['minimum'];
  if (json['maximum'] === Number.MAX_SAFE_INTEGER) delete json['maximum'];
  // The format says it, in less than its expression of 300 characters.
  if (json['format'] !== undefined) delete json['pattern'];
  delete json['propertyNames'];
  delete json['id'];
  mergeNull(json);
  const { def } = zodSchema._zod as { def: z.core.$ZodTypeDef & { shape?: Record<string, z.core.$ZodType> } };
  for (const [name, member] of Object.entries(def.shape ?? {}))
    if (isNeverSent(member)) delete (json['properties'] as JsonObject)[name];
}

/** `anyOf: [text, null]` is a text that may be null. */
function mergeNull(json: JsonObject): void {
  const [first, second, ...more] = (json['anyOf'] ?? []) as JsonObject[];
  if (first === undefined || second?.['type'] !== 'null' || more.length > 0) return;
  if (typeof first['type'] !== 'string') return;
  delete json['anyOf'];
  const values = first['enum'] as unknown[] | undefined;
  Object.assign(json, { ...first, ...json, type: [first['type'], 'null'] });
  if (values) json['enum'] = [...values, null];
}

/** A field that is refused whatever it holds, so that its refusal can say why. */
function isNeverSent(schema: z.core.$ZodType): boolean {
  const { def } = schema._zod as { def: z.core.$ZodTypeDef & { innerType?: z.core.$ZodType } };
  return def.type === 'undefined' || (def.innerType !== undefined && isNeverSent(def.innerType));
}

function withComponentRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withComponentRefs);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === '$ref' && typeof member === 'string'
        ? member.replace('#/$defs/', '#/components/schemas/')
        : withComponentRefs(member),
    ]),
  );
}
