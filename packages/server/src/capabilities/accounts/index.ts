import { accountsMigration } from './migrations/0001-accounts.js';

export {
  type Accounts,
  type AccountsDeps,
  createAccounts,
  credentialGeneration,
  systemActor,
} from './service.js';
export {
  type CreatedTenant,
  isSubscriptionActive,
  type NewTenant,
  PLANS,
  type Plan,
  type PreparedOwner,
  SUBSCRIPTION_STATUSES,
  type SubscriptionStatus,
  type Tenant,
} from './types.js';

export const migrations = [accountsMigration];
