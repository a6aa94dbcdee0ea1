/**
 * Why a query may cross tenants; a golden list, so that a new one is seen in review.
 * The key is what stores pass to `view.system`.
 */
export const SYSTEM_REASONS = {
  bootstrap: 'The first start asks whether any tenant exists and makes one.',
  credential_by_hash: 'A credential names its tenant; before it is found there is no scope.',
  device_codes: 'Nobody has said yet to which tenant a waiting device will belong.',
  tenant_by_slug: 'A tenant host names the tenant.',
  operator: 'The operator changes the plan or the status of any tenant, and finds the owner of the first.',
  usage: 'Batches of counted operations name each other, whatever tenants they hold.',
  tenant_removal: 'Tenants that were deleted are looked for among all, to remove what is left of them.',
  people: 'Users, their sessions and their sign-ins belong to no single tenant.',
  signup: 'Who signs up has no tenant yet.',
  signing_key: 'The key that signs admin tokens is one for the installation.',
  dpop_proofs: 'A proof is good once, whatever tenant the token belongs to that its key is bound to.',
  generations: 'Cache generations are read for all tenants at once.',
  metrics: 'Counts over all tenants.',
  retention: 'Expired rows of all tenants are removed in bounded batches.',
  jobs: 'Background work is claimed for the whole installation.',
  outbox: 'Events of all tenants are handed over in the order of their keys.',
  card_notices: 'Cards of all tenants that are about to end are told of when their time comes.',
  certificate_notices: 'How far the ends of certificates of all tenants have been told of.',
  leases: 'Database users of all tenants are dropped when their leases end.',
  oauth2_renewals: 'Access tokens of all tenants are renewed before they end.',
  workload_identity: 'An assertion of a workload is spent once in the installation, and may name no tenant.',
  authorities:
    'What authorities have revoked is signed anew before it ends, whatever tenants they belong to.',
  sealer: 'The audit sealer numbers committed rows of all tenants.',
  tenant_kms: 'No tenant may name the key of another, and sealed ones are tried again whoever they are.',
  webhooks: 'Deliveries of all tenants are sent when they are due, and their events collected.',
  alerts: 'Alerts of all tenants are judged when counts have changed.',
  root_key: 'The check that the root key is the one the data was wrapped with.',
} as const;

export type SystemReason = keyof typeof SYSTEM_REASONS;
