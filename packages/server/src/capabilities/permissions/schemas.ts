import { z } from 'zod';
import { pageQuery } from '../../platform/http/pagination.js';
import type { Role } from './service.js';

const subjectKind = z.enum(['user', 'api_key']);

export const roleListQuery = z.object({
  ...pageQuery,
  subject_kind: subjectKind.optional().describe('Roles for users or for keys; absent: both.'),
  sort: z.literal('name').default('name').describe('The one order there is.'),
  order: z.enum(['asc', 'desc']).default('asc').describe('Direction of `sort`.'),
});

export const roleResponse = z.object({
  id: z.string().describe('Of a seeded role the same in every installation.'),
  name: z.string(),
  description: z.string().nullable().describe('For people.'),
  applies_to: z.array(subjectKind).describe('Who can be given the role.'),
  is_default: z.boolean().describe('Given unasked: no role is.'),
  seeded: z.boolean().describe('Part of the server; false: a role of the tenant’s own.'),
});

export function roleWire(role: Role): z.input<typeof roleResponse> {
  return {
    id: role.id,
    name: role.name,
    description: role.description,
    applies_to: [...role.appliesTo],
    // Nobody gets a role unasked: a key without one has the access of its maker, a member is invited with one.
    is_default: false,
    seeded: role.isSeeded,
  };
}
