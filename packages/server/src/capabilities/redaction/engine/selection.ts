import { parseJsonPath } from '../../../kernel/json-path.js';
import type { ProxyMode } from '../../../kernel/proxy-mode.js';
import { RegexRules } from '../regex/regex-search.js';
import { matchesType } from './media-type.js';
import { PathAutomaton } from './path-automaton.js';
import type { RankedRule, RuleSpec } from './rule.js';
import type { Builtin } from './scanner.js';
import type { BuiltinRules } from './text-redactor.js';

/** The rules that bear on one kind of answer, ready to run. */
export interface Selection {
  readonly builtins: BuiltinRules;
  readonly paths: PathAutomaton | null;
  readonly regexes: RegexRules | null;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, RankedRule>;
}

const SELECTIONS_MAX = 64;

/**
 * The rules of one tenant and mode of the proxy, and of a route where one is known, in their order of decision. Compiled once for
 * each content type.
 */
export class RuleSet {
  readonly #responses: readonly RankedRule[];
  readonly #logs: BuiltinRules;
  readonly #selections = new Map<string, Selection>();

  constructor(rules: readonly RuleSpec[], mode: ProxyMode, routeId: string | null = null) {
    const ranked = rules
      .filter(
        ({ enabled, proxyModes, routeIds }) =>
          enabled &&
          (proxyModes === null || proxyModes.includes(mode)) &&
          (routeIds === null || (routeId !== null && routeIds.includes(routeId))),
      )
      .map((spec, rank) => ({ rank, spec }));
    this.#responses = ranked.filter(({ spec }) => spec.target !== 'log');
    this.#logs = builtinsOf(ranked.filter(({ spec }) => spec.target !== 'response'));
  }

  get isEmpty(): boolean {
    return this.#responses.length === 0;
  }

  get hasBodyRules(): boolean {
    return this.#responses.some(({ spec }) => spec.match.type !== 'header');
  }

  /** What replaces text of log rows; they hold no bodies and no headers, so paths and header rules have no place. */
  get logBuiltins(): BuiltinRules {
    return this.#logs;
  }

  /** Whether a rule names this type itself, which then is inspected even when it is a binary one. */
  names(essence: string): boolean {
    return this.#responses.some(({ spec }) => spec.contentTypes?.includes(essence) ?? false);
  }

  select(essence: string): Selection {
    const known = this.#selections.get(essence);
    if (known) return known;
    const rules = this.#responses.filter(
      ({ spec }) =>
        spec.contentTypes === null || spec.contentTypes.some((pattern) => matchesType(pattern, essence)),
    );
    const selection = {
      builtins: builtinsOf(rules),
      paths: pathsOf(rules),
      regexes: regexesOf(rules, this),
      headers: headersOf(rules),
    };
    if (this.#selections.size >= SELECTIONS_MAX) this.#selections.clear();
    this.#selections.set(essence, selection);
    return selection;
  }
}

function builtinsOf(rules: readonly RankedRule[]): BuiltinRules {
  const builtins = new Map<Builtin, RankedRule>();
  for (const rule of rules) {
    const { match } = rule.spec;
    if (match.type === 'builtin' && !builtins.has(match.value)) builtins.set(match.value, rule);
  }
  return builtins;
}

function pathsOf(rules: readonly RankedRule[]): PathAutomaton | null {
  const paths = rules.flatMap((rule) =>
    rule.spec.match.type === 'json_path' ? [{ rule, steps: parseJsonPath(rule.spec.match.value) }] : [],
  );
  return paths.length === 0 ? null : new PathAutomaton(paths);
}

function regexesOf(rules: readonly RankedRule[], owner: RuleSet): RegexRules | null {
  const regexes = rules.filter(({ spec }) => spec.match.type === 'regex');
  return regexes.length === 0 ? null : new RegexRules(regexes, owner);
}

function headersOf(rules: readonly RankedRule[]): ReadonlyMap<string, RankedRule> {
  const headers = new Map<string, RankedRule>();
  for (const rule of rules) {
    const { match } = rule.spec;
    const name = match.value.toLowerCase();
    if (match.type === 'header' && !headers.has(name)) headers.set(name, rule);
  }
  return headers;
}
