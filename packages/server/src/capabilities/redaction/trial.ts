import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isAppError, validationError } from '../../kernel/errors.js';
import { type HeadOptions, redactHead } from './engine/plan.js';
import type { RankedRule, RuleSpec } from './engine/rule.js';
import { RuleSet } from './engine/selection.js';
import type { RegexRules, RegexSearch } from './regex/regex-search.js';

export interface TrialResult {
  /** In the form of the sample: text, or a JSON value. */
  readonly result: unknown;
  /** `rule` is the id of a stored rule, the index of one that came with the call. */
  readonly matches: { readonly rule: string; readonly name: string; readonly count: number }[];
}

/** Sends a sample through the rules as an upstream's answer would go. */
export async function runTrial(
  rules: readonly RuleSpec[],
  sample: unknown,
  contentType: string | undefined,
  newSearch: (rules: RegexRules) => RegexSearch,
): Promise<TrialResult> {
  const isText = typeof sample === 'string';
  const type = contentType ?? (isText ? 'text/plain' : 'application/json');
  const body = isText ? sample : JSON.stringify(sample);
  const counts = new Map<RuleSpec, number>();
  const everyMode = rules.map((rule) => ({ ...rule, proxyModes: null, routeIds: null }));
  const onRedacted = ({ spec }: RankedRule) => counts.set(spec, (counts.get(spec) ?? 0) + 1);
  const ruleSet = new RuleSet(everyMode, 'ephemeral');
  const text = await throughRules(ruleSet, type, body, { onRedacted, newSearch, guard: null });
  const matches = [...counts].map(([rule, count]) => ({ rule: rule.id, name: rule.name, count }));
  return { result: isText ? text : parsed(text), matches };
}

async function throughRules(
  rules: RuleSet,
  type: string,
  text: string,
  options: HeadOptions,
): Promise<string> {
  try {
    const head = { method: 'GET', status: 200, rawHeaders: ['content-type', type] };
    const { body } = redactHead(rules, head, options);
    const out: Buffer[] = [];
    const collected = new Writable({
      write(chunk: Buffer, _encoding, done) {
        out.push(chunk);
        done();
      },
    });
    await pipeline([Readable.from([Buffer.from(text)]), ...body, collected]);
    return Buffer.concat(out).toString('utf8');
  } catch (error) {
    // What would be a 502 for an upstream's answer is here what the caller sent.
    if (isAppError(error, 'redaction_failed')) throw validationError('sample', error.publicMessage);
    throw error;
  }
}

/** A type that is not JSON may have turned a JSON sample into text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
