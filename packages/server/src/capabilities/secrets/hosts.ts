import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { createHostList, hostEntryProblem, withoutRootDot } from '../../platform/egress/name-policy.js';

const host = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .superRefine((value, context) => {
    const problem = hostEntryProblem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  .transform((value) => withoutRootDot(value.toLowerCase()));

/** Hosts that a secret may be sent to (dataplane.md §3). */
export const allowedHosts = z
  .array(host)
  .min(1, 'must name a host; null: unbound')
  .max(LIMITS.secretHostsMax)
  .transform((hosts) => [...new Set(hosts)].sort());

/** `host` in lower case. */
export function coversHost(hosts: readonly string[], name: string): boolean {
  return hosts.length > 0 && createHostList(hosts).covers(withoutRootDot(name));
}

/** Whether a value may go where it might not go before (contract README §10): a first list and none at all count as wider. */
export function isWider(before: readonly string[] | null, after: readonly string[] | null): boolean {
  if (before === null) return after !== null;
  return after === null || !after.every((entry) => coversHost(before, entry));
}
