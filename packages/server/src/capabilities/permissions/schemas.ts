import { z } from 'zod';
import { pageQuery } from '../../platform/http/pagination.js';
import type { Role } from './service.js';

const subjectKind = z.enum(['user', 'api_key']);

export const roleListQuery = z.object({
  ...pageQuery,
  subject_kind: subjectKind.optional(),
  sort: z.literal('name').default('name'),
  order: z.enum(['asc', 'desc']).default('asc'),
});

export const roleResponse = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  applies_to: z.array(subjectKind),
  is_default: z.boolean(),
  seeded: z.boolean(),
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
