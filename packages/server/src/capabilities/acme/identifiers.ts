import { LIMITS } from '../../kernel/limits.js';
import { isObject } from '../../kernel/strict-json.js';
import { isDnsName } from '../../platform/egress/name-policy.js';
import type { CaRole, PkiIssuing } from '../pki/index.js';
import { AcmeProblem, malformed, type ProblemType, type Subproblem } from './problems.js';

export const WILDCARD = '*.';
const SHOWN_CHARACTERS_MAX = 100;

/** The names of a new order (RFC 8555 §7.4): of DNS alone, and such as the role lets be certified. All that is wrong at once. */
export function readIdentifiers(
  value: unknown,
  role: CaRole,
  pki: Pick<PkiIssuing, 'refusedName'>,
): readonly string[] {
  const most = LIMITS.acmeNamesPerOrderMax;
  if (!Array.isArray(value) || value.length === 0 || value.length > most)
    throw malformed(`identifiers must be a list of 1 to ${most}`);
  const names = new Set<string>();
  const problems: Subproblem[] = [];
  for (const one of value) {
    if (!isObject(one) || typeof one.type !== 'string' || typeof one.value !== 'string')
      throw malformed('identifiers must hold objects of a type and a value, both texts');
    const name = one.value.toLowerCase();
    const problem = problemOf(one.type, name, role, pki);
    if (problem) problems.push({ ...problem, name: one.value.slice(0, SHOWN_CHARACTERS_MAX) });
    else names.add(name);
  }
  if (problems.length > 0) throw refused(problems);
  return [...names].sort();
}

function problemOf(
  type: string,
  name: string,
  role: CaRole,
  pki: Pick<PkiIssuing, 'refusedName'>,
): Omit<Subproblem, 'name'> | null {
  if (type !== 'dns')
    return { type: 'unsupportedIdentifier', detail: 'Only identifiers of the type dns are certified' };
  const bare = name.startsWith(WILDCARD) ? name.slice(WILDCARD.length) : name;
  // RFC 8555 §9.7.7: as it stands in a certificate; a dot at the end does not.
  if (!isDnsName(bare)) return { type: 'rejectedIdentifier', detail: 'The value is no DNS name in A-labels' };
  const reason = pki.refusedName(role, name);
  return reason === null ? null : { type: 'rejectedIdentifier', detail: reason };
}

function refused(subproblems: readonly Subproblem[]): AcmeProblem {
  const isUnsupported = subproblems.every(({ type }) => type === 'unsupportedIdentifier');
  const type: ProblemType = isUnsupported ? 'unsupportedIdentifier' : 'rejectedIdentifier';
  const [first] = subproblems;
  const more = subproblems.length > 1 ? ` (and ${subproblems.length - 1} more)` : '';
  return new AcmeProblem(type, `${first!.detail}${more}`, { subproblems });
}
