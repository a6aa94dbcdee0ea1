import { z } from 'zod';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { Parity } from './service.js';

const parityResponse = z.object({
  deployment_mode: z.literal('self_hosted'),
  features: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      parity: z
        .enum(['same', 'differs', 'cloud_only', 'self_hosted_only'])
        .describe('A hosted server beside one’s own.'),
      note: z.string().nullable().describe('In what they differ.'),
      state: z
        .enum(['available', 'off', 'not_built', 'hidden'])
        .describe('On this server: `off` is switched by `variable`, `hidden` is of hosted servers alone.'),
      variable: z.string().nullable(),
      endpoints: z.number().int().describe('How many this server answers at, both mounts counted.'),
    }),
  ),
  totals: z.record(z.string(), z.number().int()).describe('Features by state.'),
});

export function parityRoutes(parity: Pick<Parity, 'rows'>): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/admin/parity-audit',
      summary: 'What this server has, beside a hosted one',
      permission: 'tenant:read',
      servesInactive: true,
      audit: null,
      response: parityResponse,
      async handle() {
        const rows = parity.rows();
        const totals: Record<string, number> = {};
        for (const { state } of rows) totals[state] = (totals[state] ?? 0) + 1;
        const features = rows.map((row) => ({ note: null, variable: null, ...row }));
        return { deployment_mode: 'self_hosted', features, totals };
      },
    }),
  ];
}
