import { z } from 'zod';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { hostEntryProblem, withoutRootDot } from '../../platform/egress/name-policy.js';

const host = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .superRefine((value, context) => {
    const problem = hostEntryProblem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  .transform((value) => withoutRootDot(value.toLowerCase()));

export const allowlistBody = z.strictObject({
  hosts: z
    .array(host)
    .max(LIMITS.egressAllowlistHostsMax)
    .describe(
      'Replaces the list. Exact hosts, or `*.example.com` for every host below it; empty: every public host.',
    )
    .transform((hosts) => [...new Set(hosts)].sort())
    .meta({ examples: [['api.example.com', '*.example.org']] }),
});

export const allowlistResponse = z
  .object({
    hosts: z.array(z.string()).describe('In order of their names; empty: every public host.'),
    sandbox: z.boolean().describe('True in test mode.'),
  })
  .meta({ id: 'EgressAllowlist' });

export function allowlistWire(scope: Scope, hosts: readonly string[]): z.input<typeof allowlistResponse> {
  return { hosts: [...hosts], sandbox: scope.sandbox };
}
