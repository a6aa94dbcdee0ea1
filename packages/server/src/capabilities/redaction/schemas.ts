import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { JsonPathError, parseJsonPath } from '../../kernel/json-path.js';
import { LIMITS } from '../../kernel/limits.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { isFramingHeader } from './engine/header-rules.js';
import type { RuleMatch } from './engine/rule.js';
import { BUILTINS } from './engine/scanner.js';
import { RegexError, refuseConstructs } from './regex/regex-syntax.js';
import type { RuleInput, Trial } from './service.js';
import type { RedactionRule } from './store.js';

const CONTENT_TYPES_MAX = 20;
const PRIORITY_MAX = 10_000;
const TRIAL_RULES_MAX = 50;
const RULE_ROUTES_MAX = 100;

const text = z
  .string()
  .refine((value) => !/\p{Surrogate}/u.test(value), 'must not hold half of a surrogate pair')
  .refine((value) => !/[\0-\x1f\x7f]/.test(value), 'must not hold control characters');

/** RFC 9110 §8.3.1, without parameters. */
const contentType = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .regex(
    /^(?:\*\/\*|[\w!#$&^.+-]+\/(?:\*|[\w!#$&^.+-]+))$/,
    'must be a media type without parameters, or type/*',
  )
  .transform((value) => value.toLowerCase());

const matchFields = z.strictObject({
  type: z
    .enum(['json_path', 'regex', 'header', 'builtin'])
    .describe('What `value` is. A `regex` looks through bodies only.'),
  value: text
    .min(1)
    .max(512)
    .describe(`A path, an expression in the syntax of RE2, a header name, or one of ${BUILTINS.join(', ')}.`)
    .meta({ examples: ['$.card.number'] }),
});

const match = matchFields.describe('What it finds.').transform(({ type, value }, context): RuleMatch => {
  const refuse = (message: string, ...path: string[]) => {
    context.addIssue({ code: 'custom', message, path });
    return z.NEVER;
  };
  if (type === 'builtin') {
    const builtin = BUILTINS.find((name) => name === value);
    return builtin ? { type, value: builtin } : refuse(`must be one of ${BUILTINS.join(', ')}`, 'value');
  }
  if (type === 'header') {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(value)) return refuse('must be a header name', 'value');
    return isFramingHeader(value)
      ? refuse('frames the message and cannot be redacted', 'value')
      : { type, value };
  }
  try {
    if (type === 'regex') refuseConstructs(value);
    else parseJsonPath(value);
    return { type, value };
  } catch (error) {
    if (!(error instanceof JsonPathError || error instanceof RegexError)) throw error;
    return refuse(error.message, 'value');
  }
});

const fields = {
  name: text.min(1).max(LIMITS.nameCharactersMax).describe('For people.'),
  enabled: z.boolean().describe('False: as if it were not there.'),
  target: z
    .enum(['response', 'log', 'both'])
    .describe('What the caller gets, what the log row holds, or both.'),
  match,
  content_types: z
    .array(contentType)
    .min(1)
    .max(CONTENT_TYPES_MAX)
    .nullable()
    .describe('Only in bodies of these media types; null: in all.'),
  route_ids: z
    .array(z.uuid().toLowerCase())
    .min(1, 'must name a route; null: calls of all')
    .max(RULE_ROUTES_MAX)
    .transform((ids) => [...new Set(ids)])
    .nullable()
    .describe('Only for calls of these routes; null: for all. A route that is deleted leaves the list.')
    .meta({ examples: [null] }),
  proxy_modes: z
    .array(z.enum(['route', 'ephemeral']))
    .min(1)
    .max(2)
    .nullable()
    .describe('Only for calls of these modes; null: for all.'),
  replacement: text.max(LIMITS.nameCharactersMax).describe('What `mask` writes.'),
  action: z
    .enum(['mask', 'remove', 'partial_last4'])
    .describe('`partial_last4`: the replacement, then the last four characters of a value of eight or more.'),
  priority: z.number().int().min(0).max(PRIORITY_MAX).describe('The lower goes first.'),
};

const newRule = z.strictObject({
  name: fields.name,
  enabled: fields.enabled.default(true),
  target: fields.target.default('response'),
  match: fields.match,
  content_types: fields.content_types.default(null),
  route_ids: fields.route_ids.default(null),
  proxy_modes: fields.proxy_modes.default(null),
  replacement: fields.replacement.default('[REDACTED]'),
  action: fields.action.default('mask'),
  priority: fields.priority.default(100),
});

function inputOf(body: z.output<typeof newRule>): RuleInput {
  const { name, enabled, target, match, replacement, action, priority } = body;
  const [contentTypes, proxyModes, routeIds] = [body.content_types, body.proxy_modes, body.route_ids];
  return { name, enabled, target, match, contentTypes, proxyModes, routeIds, replacement, action, priority };
}

export const createRuleBody = newRule.transform(inputOf);

export const updateRuleBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, 'must name at least one field to change')
  .transform(({ content_types, proxy_modes, route_ids, ...rest }): Partial<RuleInput> => {
    return {
      ...rest,
      ...(content_types !== undefined && { contentTypes: content_types }),
      ...(proxy_modes !== undefined && { proxyModes: proxy_modes }),
      ...(route_ids !== undefined && { routeIds: route_ids }),
    };
  });

export const ruleParams = z.object({
  id: text.min(1).max(LIMITS.nameCharactersMax).describe('Of the rule.'),
});

export const ruleListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'priority'])
    .default('created_at')
    .describe('What the rows are ordered by.'),
  order: orderQuery,
});

/** Rules under trial need no name: nothing is stored. */
const trialRule = newRule.extend({ name: fields.name.default('rule under test') }).transform(inputOf);

export const testBody = z
  .strictObject({
    sample: z
      .unknown()
      .refine((value) => value !== undefined, 'is required')
      .describe('What an upstream would answer: text, or any JSON.'),
    content_type: text
      .max(LIMITS.nameCharactersMax)
      .optional()
      .describe('Of that answer; absent: plain text for text, else JSON.'),
    rules: z
      .array(trialRule)
      .max(TRIAL_RULES_MAX)
      .optional()
      .describe('In place of those that are stored and enabled.'),
  })
  .transform(({ sample, content_type, rules }): Trial => ({ sample, contentType: content_type, rules }));

export const ruleResponse = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    enabled: z.boolean(),
    target: fields.target,
    match: z.object({ type: z.string(), value: z.string() }),
    content_types: z.array(z.string()).nullable().describe('Null: bodies of every media type.'),
    route_ids: z
      .array(z.string().meta({ format: 'uuid' }))
      .nullable()
      .describe('Null: calls of every kind; empty: of none, since the routes that it named are deleted.'),
    proxy_modes: z.array(z.string()).nullable().describe('Null: calls of every mode.'),
    replacement: z.string().describe('What `mask` writes.'),
    action: fields.action,
    priority: z.number().int().describe('The lower goes first.'),
    sandbox: z.boolean().describe('True in test mode.'),
    created_at: instantText,
    updated_at: instantText,
  })
  .meta({ id: 'RedactionRule' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export const testResponse = z.object({
  result: z.unknown().describe('What the caller would get, in the form of the sample.'),
  matches: z
    .array(
      z.object({
        rule: z.string().describe('Id of a stored rule; the index of one that came with the call.'),
        name: z.string(),
        count: z.number().describe('How often it found something.'),
      }),
    )
    .describe('Rules that found something.'),
});

export function ruleWire(scope: Scope, rule: RedactionRule): z.input<typeof ruleResponse> {
  return {
    id: rule.id,
    name: rule.name,
    enabled: rule.enabled,
    target: rule.target,
    match: rule.match,
    content_types: rule.contentTypes && [...rule.contentTypes],
    route_ids: rule.routeIds && [...rule.routeIds],
    proxy_modes: rule.proxyModes && [...rule.proxyModes],
    replacement: rule.replacement,
    action: rule.action,
    priority: rule.priority,
    sandbox: scope.sandbox,
    created_at: isoTime(rule.createdAtMs),
    updated_at: isoTime(rule.updatedAtMs),
  };
}
