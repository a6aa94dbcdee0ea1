import type { RankedRule, RuleSpec } from '../capabilities/redaction/engine/rule.js';
import { BUILTINS, type Builtin } from '../capabilities/redaction/engine/scanner.js';
import { RuleSet } from '../capabilities/redaction/engine/selection.js';
import type { BuiltinRules } from '../capabilities/redaction/engine/text-redactor.js';

/** A rule as the API makes it when a caller gives only what it matches. */
export function spec(match: RuleSpec['match'], overrides: Partial<RuleSpec> = {}): RuleSpec {
  return {
    id: `${match.type}:${match.value}`,
    name: match.value,
    enabled: true,
    target: 'response',
    match,
    contentTypes: null,
    routeIds: null,
    proxyModes: null,
    replacement: '[REDACTED]',
    action: 'mask',
    priority: 100,
    ...overrides,
  };
}

export function builtin(value: Builtin, overrides: Partial<RuleSpec> = {}): RuleSpec {
  return spec({ type: 'builtin', value }, overrides);
}

export function jsonPath(value: string, overrides: Partial<RuleSpec> = {}): RuleSpec {
  return spec({ type: 'json_path', value }, overrides);
}

export function regex(value: string, overrides: Partial<RuleSpec> = {}): RuleSpec {
  return spec({ type: 'regex', value }, overrides);
}

export function header(value: string, overrides: Partial<RuleSpec> = {}): RuleSpec {
  return spec({ type: 'header', value }, overrides);
}

export function ruleSet(...rules: RuleSpec[]): RuleSet {
  return new RuleSet(rules, 'ephemeral');
}

export function builtinRules(
  kinds: readonly Builtin[] = BUILTINS,
  overrides: Partial<RuleSpec> = {},
): BuiltinRules {
  return new Map(
    kinds.map((kind, rank): [Builtin, RankedRule] => [kind, { rank, spec: builtin(kind, overrides) }]),
  );
}
