import type { ProxyMode } from '../../../kernel/proxy-mode.js';
import type { Builtin } from './scanner.js';

export type RuleTarget = 'response' | 'log' | 'both';
export type RuleAction = 'mask' | 'remove' | 'partial_last4';

export type RuleMatch =
  | { readonly type: 'builtin'; readonly value: Builtin }
  | { readonly type: 'json_path'; readonly value: string }
  | { readonly type: 'regex'; readonly value: string }
  | { readonly type: 'header'; readonly value: string };

/** What the engine needs of a rule (dataplane §7). */
export interface RuleSpec {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly target: RuleTarget;
  readonly match: RuleMatch;
  /** Lower-case media types, exact or `type/*`; null = every type. */
  readonly contentTypes: readonly string[] | null;
  /** Null = every call; else those of these routes alone. */
  readonly routeIds: readonly string[] | null;
  readonly proxyModes: readonly ProxyMode[] | null;
  readonly replacement: string;
  readonly action: RuleAction;
  /** The lowest number decides where several rules match the same place. */
  readonly priority: number;
}

/** A rule in its place of the order of decision; `rank` 0 decides first. */
export interface RankedRule {
  readonly rank: number;
  readonly spec: RuleSpec;
}

/** A stretch of a text that a rule takes; `end` is exclusive. */
export interface Find {
  readonly rule: RankedRule;
  readonly start: number;
  readonly end: number;
}

/** A shorter value would be told by its last four characters. */
const PARTIAL_CHARACTERS_MIN = 8;
const PARTIAL_CHARACTERS_SHOWN = 4;

/** What stands in place of a value. `remove` is up to the caller where more than text goes (members, headers). */
export function replacementFor(rule: Pick<RuleSpec, 'action' | 'replacement'>, value: string): string {
  if (rule.action === 'remove') return '';
  if (rule.action === 'mask') return rule.replacement;
  const characters = [...value.slice(-2 * PARTIAL_CHARACTERS_MIN)];
  if (characters.length < PARTIAL_CHARACTERS_MIN) return rule.replacement;
  return rule.replacement + characters.slice(-PARTIAL_CHARACTERS_SHOWN).join('');
}
