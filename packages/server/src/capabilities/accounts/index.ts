export { type Auth, type AuthDeps, createAuth } from './auth.js';
export { type CookieRules, sessionCookies } from './cookies.js';
export { createDeletedTenants, type DeletedTenants } from './deleted-tenants.js';
export { signInJobs } from './jobs.js';
export { MAGIC_LINK_PATH } from './magic-links/mails.js';
export type { MagicLinks } from './magic-links/service.js';
export { createOwnerPasswords, type OwnerPasswords } from './owner-passwords.js';
export { newPassword } from './passwords.js';
export { type AuthRoutesDeps, authRoutes } from './routes.js';
export {
  type Accounts,
  type AccountsDeps,
  createAccounts,
  credentialGeneration,
  systemActor,
} from './service.js';
export type { Membership, OpenSession, ProvenUser, Sessions, SignedIn } from './sessions/service.js';
export type { SecondFactorDue, SignInOutcome, SignIns } from './sign-ins/service.js';
export { foldEmail } from './store.js';
export { migrations } from './tables.js';
export type { Invitations } from './team/invitations.js';
export { INVITATION_PATH } from './team/mails.js';
export { teamRoutes } from './team/routes.js';
export { createTeam, type Team } from './team/service.js';
export {
  isSubscriptionActive,
  type NewTenant,
  type PreparedOwner,
  REGIONS,
  type Region,
  SUBSCRIPTION_STATUSES,
  type SubscriptionStatus,
  type Tenant,
  type TenantChange,
} from './types.js';
export { createVisitorWrites, type VisitorWrites } from './visitor-writes.js';
