import { z } from 'zod';
import { validationErrors } from '../../kernel/errors.js';

export interface Check {
  readonly schema: z.ZodType;
  readonly value: unknown;
  /** Names the whole where a rule is about no single field: `body`, `query`. */
  readonly rootName: string;
}

const FIELDS_MAX = 100;
const FIELD_NAME_CHARACTERS_MAX = 200;

/** Checks all parts of a request and names every bad field of all of them in one answer (contract README §1.1). */
export function validateAll(checks: readonly Check[]): unknown[] {
  const fields = new Map<string, string[]>();
  const values = checks.map(({ schema, value, rootName }) => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const { issues } = result.error;
    // A rule about the whole says nothing more where a field is at fault.
    const ofFields = issues.filter((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys');
    for (const issue of ofFields.length > 0 ? ofFields : issues) addIssue(fields, issue, rootName);
    return undefined;
  });
  if (fields.size > 0) throw validationErrors(fields);
  return values;
}

function addIssue(fields: Map<string, string[]>, issue: z.core.$ZodIssue, rootName: string): void {
  const inner = issue.code === 'invalid_union' ? issuesWithin(issue) : undefined;
  if (inner) {
    for (const one of inner) addIssue(fields, { ...one, path: [...issue.path, ...one.path] }, rootName);
    return;
  }
  const path = nameOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) addRule(fields, path === '' ? key : `${path}.${key}`, 'is not known here');
    return;
  }
  addRule(fields, path || rootName, ruleOf(issue));
}

/** Of the one alternative that is of the value's kind, what is wrong within the value: that says more than that none fits. */
function issuesWithin({ errors }: z.core.$ZodIssueInvalidUnion): readonly z.core.$ZodIssue[] | undefined {
  const ofItsKind = errors.filter((issues) => issues.every(({ path }) => path.length > 0));
  return ofItsKind.length === 1 ? ofItsKind[0] : undefined;
}

/** As one writes it in code: `values[3].value`. */
function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, step) => {
    if (typeof step === 'number') return `${name}[${step}]`;
    return name === '' ? String(step) : `${name}.${String(step)}`;
  }, '');
}

function addRule(fields: Map<string, string[]>, field: string, rule: string): void {
  const name = field.slice(0, FIELD_NAME_CHARACTERS_MAX);
  const rules = fields.get(name);
  if (rules) rules.push(rule);
  else if (fields.size < FIELDS_MAX) fields.set(name, [rule]);
}

function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) return 'is required';
  // What a schema says of its own stays.
  if (issue.code === 'invalid_value' && issue.message.startsWith('Invalid option'))
    return `must be one of ${issue.values.map(String).join(', ')}`;
  return issue.message;
}

/** An object schema refuses what it does not name, so that nothing a caller relies on is dropped in silence. */
export function strict(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
}
