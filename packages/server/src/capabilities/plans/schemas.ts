import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { PLANS } from '../../kernel/plan-tiers.js';
import { SUBSCRIPTION_STATUSES } from '../accounts/index.js';

const time = z.string();
const timeOrNull = z.string().nullable();
const plan = z.enum(PLANS);
const status = z.enum(SUBSCRIPTION_STATUSES);
const limit = z.number().int().nullable();
const used = z.number().int();

export const accountResponse = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  region: z.string().nullable(),
  subscription_plan: plan,
  subscription_status: status,
  trial_start_at: timeOrNull,
  trial_end_at: timeOrNull,
  subscription_current_period_start: time,
  subscription_current_period_end: time,
  subscription_cancel_at: timeOrNull,
  created_at: time,
});

const resource = z.object({ used, limit });

export const usageResponse = z.object({
  billing_period: z.object({ year: z.number().int(), month: z.number().int(), start: time, end: time }),
  api_calls: z.object({ used, limit, percentage: z.number() }),
  resources: z.object({ routes: resource, secrets: resource, clients: resource, environments: resource }),
  plan,
  status,
});

export const tenantParams = z.object({ id: z.string().min(1).max(64) });

export const tenantChangeBody = z
  .object({
    name: z.string().trim().min(1).max(LIMITS.nameCharactersMax).optional(),
    slug: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('Its name in host names; the former one is nobody else’s for 90 days.'),
    ephemeral_enabled: z.boolean().nullable().optional(),
    plan: plan.optional(),
    subscription_status: status.optional(),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    message: 'names nothing to change: name, slug, ephemeral_enabled, plan or subscription_status',
  });

export const tenantResponse = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  plan,
  subscription_status: status,
  ephemeral_enabled: z.boolean().nullable(),
  created_at: time,
});
