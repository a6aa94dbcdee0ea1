import { AppError, permissionMissing } from '../../kernel/errors.js';
import type { CappedResource, Plan, PlanFeature } from '../../kernel/plan-tiers.js';

/** Never 403: the caller may, the tier does not have it (dataplane.md §0). */
export function planFeatureMissing(plan: Plan, feature: PlanFeature): AppError {
  return new AppError('plan_feature', `The plan ${plan} does not have the feature ${feature}`);
}

export function ephemeralOff(plan: Plan): AppError {
  return new AppError(
    'plan_feature',
    `Ephemeral calls are off: by the plan ${plan}, or by a switch of this tenant`,
  );
}

export function resourceCapReached(plan: Plan, resource: CappedResource, cap: number): AppError {
  return new AppError('plan_limit', `The plan ${plan} allows ${cap} ${resource}`);
}

export function operationsUsedUp(limit: number): AppError {
  return new AppError('plan_limit', `All ${limit} ephemeral operations of this month are used`);
}

/** Plan and status are the operator's, whatever the tenant's own roles say (auth.md §7). */
export function operatorOnly(fields: readonly string[]): AppError {
  return new AppError('forbidden', `Only the operator of this installation sets ${fields.join(' and ')}`);
}

export function tenantWriteMissing(): AppError {
  return permissionMissing('tenant:write');
}

export function namesAreTheirs(): AppError {
  return new AppError('forbidden', 'Only the tenant’s own people change its name and slug');
}
