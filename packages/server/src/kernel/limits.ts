/** The one table of limits (contract README §7). Units stand last in the names; each bound is inclusive. */
const KiB = 1024;
const MiB = 1024 * KiB;

export const LIMITS = {
  managementBodyBytesMax: 1 * MiB,
  /** Of routes that take bodies from anybody. */
  publicBodyBytesMax: 16 * KiB,
  /** A value of 64 KiB, each byte escaped as six, and its metadata: what is larger is not even parsed. */
  tokenizeBodyBytesMax: 512 * KiB,
  bulkTokenizeBodyBytesMax: 16 * MiB,
  /** Values of one document that are sealed or opened, an operation on a curve each. */
  portableLeavesMax: 2_000,
  /** Values, lists and objects in what a client token is good for. */
  pinnedValuesMax: 20_000,
  templatedBodyBytesMax: 10 * MiB,
  /** Of a body in the answer to a dry run. */
  dryRunPreviewBytesMax: 16 * KiB,
  transparentBodyBytesMax: 100 * MiB,
  requestHeadersBytesMax: 32 * KiB,
  requestHeadersMax: 1_000,
  responseHeadersMax: 1_000,
  connectionsMax: 10_000,
  requestHeadMs: 10_000,
  requestBodyMs: 30_000,
  /** Of a proxied call, whose body may be 100 MiB. */
  requestMs: 300_000,
  silentConnectionMs: 300_000,
  /** Above the 60 s after which common balancers give an idle connection up themselves. */
  keepAliveMs: 65_000,
  proxyUrlBytesMax: 8 * KiB,
  jsonDepthMax: 64,
  /** Of one body, a member of an object as five: room for 100 tokens, each with metadata of 4 KiB that is all lists. */
  jsonValuesMax: 300_000,
  idempotencyKeyCharactersMax: 255,
  idempotencyRetentionMs: 86_400_000,
  idempotencyWaitMs: 30_000,
  idempotencyWaitersMax: 1_000,
  idempotencyWaitersPerTenantMax: 100,
  idempotencyReadAnswerCharactersMax: 64 * KiB,
  /** Of what is done again without harm, but for the audit row that each time leaves. */
  idempotencyRepeatedAnswerCharactersMax: 1 * MiB,
  nameCharactersMax: 255,
  descriptionCharactersMax: 2000,
  /** A token in a path, percent-encoded: what a dual-custody vault has made is as long as its value. */
  tokenParamCharactersMax: 16 * KiB,
  tokenReferencesMax: 20,
  /** Values of one proxied call that are sealed or opened. */
  portablesMax: 100,
  encryptedHeaderCharactersMax: 16 * KiB,
  cryptoBodyBytesMax: 16 * MiB,
  cryptoPlaintextBytesMax: 8 * MiB,
  cryptoBatchMax: 100,
  cryptoKeysMax: 10_000,
  /** Of one key, destroyed ones included: their rows stay. */
  cryptoKeyVersionsMax: 10_000,
  /** Of one version of an AES key, whose initialisation vectors are drawn: then it is rotated (clients-pki.md §8.2). */
  encryptionsOfVersionMax: 2 ** 31,
  perPageDefault: 20,
  perPageMax: 100,
  feedLimitDefault: 100,
  feedLimitMax: 1000,
  vaultValueBytesMax: 64 * KiB,
  vaultMetadataBytesMax: 4 * KiB,
  vaultBulkValuesMax: 100,
  vaultsMax: 10_000,
  vaultTokensDeletedAtOnce: 2_000,
  /** 100 years of 365 days. */
  vaultTtlSecondsMax: 3_153_600_000,
  redactionBodyBytesMax: 5 * MiB,
  redactionRecordBytesMax: 256 * KiB,
  redactionRulesMax: 500,
  echoValueBytesMin: 6,
  echoHeldBytesMax: 64 * KiB,
  redactionRegexMs: 200,
  redactionRegexHeldBytesMax: KiB,
  redactionJsonDepthMax: 512,
  egressAllowlistHostsMax: 1_000,
  egressServersMax: 50,
  /** Of one call: a server and those that it fails over to. */
  egressServersTriedMax: 5,
  dnsAnswersMax: 64,
  judgedNamesMax: 10_000,
  upstreamPoolsMax: 1_000,
  upstreamIdleMs: 60_000,
  judgedNameTtlMs: 60_000,
  failedNameTtlMs: 5_000,
  dnsTryMs: 2_000,
  dnsTries: 2,
  upstreamTimeoutDefaultMs: 25_000,
  upstreamTimeoutMaxMs: 30_000,
  tenantKeyCacheMs: 3_600_000,
  /** Of a tenant's own KMS: how long a key that was withdrawn may still be used (kms-admin.md §3.4). */
  customerKeyCacheMs: 300_000,
  sealedRetryMs: 30_000,
  logPathCharactersMax: 2048,
  keyGrantsMax: 100,
  keyRolesMax: 20,
  keyRateLimitMax: 2_147_483_647,
  customRolesMax: 1_000,
  auditCheckpointMs: 60_000,
  auditCheckpointRows: 10_000,
  /** Half of what the contract allows, so that four processes stay within 10 % (docs/decisions/0101). */
  rateSliceShare: 0.025,
  rateLimitsKept: 100_000,
  passwordBytesMax: 1024,
  signInFailuresMax: 5,
  signInsPerAddressMax: 100,
  signInLockMs: 900_000,
  /** As many as passwords that are looked at and wait for it: who gets through the one finds room in the other. */
  visitorWritesAtOnceMax: 2,
  visitorWritesWaitingMax: 32,
  /** From one address; of a longer window of one mail address, whoever asks. */
  signupsPerWindowMax: 3,
  signupWindowMs: 3_600_000,
  signupMailsPerAddressMax: 3,
  signupHandleMs: 86_400_000,
  signupPollSeconds: 5,
  magicLinkMs: 900_000,
  /** Asked for from one network; mailed to one address, whoever asks. */
  magicLinksPerNetworkMax: 20,
  magicLinkMailsPerAddressMax: 5,
  magicLinkWindowMs: 3_600_000,
  adminTokenMs: 900_000,
  sessionIdleMs: 7 * 86_400_000,
  sessionMs: 30 * 86_400_000,
  sessionsPerUserMax: 50,
  refreshesPerSessionMax: 10_000,
  passkeyChallengeMs: 300_000,
  passkeysPerUserMax: 20,
  /** A password was right and a second factor is due. */
  pendingSignInMs: 300_000,
  pendingSignInsPerUserMax: 20,
  /** Wrong codes of one account from all addresses. */
  codeFailuresMax: 50,
  codeLockMs: 3_600_000,
  stepUpTokenMs: 300_000,
  stepUpTokensPerUserMax: 50,
  tenantsPerUserMax: 200,
  teamMembersMax: 1_000,
  invitationsMax: 100,
  invitationMs: 7 * 86_400_000,
  invitationResendMs: 60_000,
  /** After it has run out, so that it can be sent again. */
  invitationKeptMs: 30 * 86_400_000,
  /** Mails of one inviter in a day; those to one address. */
  invitationMailsMax: 200,
  invitationMailsToAddressMax: 5,
  invitationMailWindowMs: 86_400_000,
  /** By one user: what is deleted again leaves its slug held, and its rows to be removed. */
  tenantsMadeMax: 100,
  tenantsMadeWindowMs: 86_400_000,
  /** Former names of a tenant that are kept from others at once. */
  tenantSlugsKeptMax: 10,
  /** A former name of a tenant is nobody else's for so long. */
  tenantSlugKeptMs: 90 * 86_400_000,
  /** Of a deleted tenant, whose database users are dropped before its keys are wiped. */
  leasesOfDeletedTenantMs: 86_400_000,
  clientTokenSecondsDefault: 300,
  clientTokenSecondsMax: 600,
  clientTokenOriginsMax: 10,
  /** `https://`, a name of 253 characters and a port. */
  originCharactersMax: 267,
  /** Tries with what a token was not made for; then it is worth nothing. */
  clientTokenMissesMax: 5,
  /** Of one network, tokens that are not valid. */
  clientTokenFailuresPerMinute: 100,
  clientTokenKeptMs: 3_600_000,
  wrapTokenSecondsDefault: 30 * 86_400,
  wrapTokenSecondsMin: 60,
  wrapTokenSecondsMax: 90 * 86_400,
  /** Of one mode, that have neither ended nor been revoked. */
  wrapTokensMax: 1_000,
  /** Ended ones too. */
  wrapTokensListed: 2_000,
  /** Calls at the gateway without a valid token, in a minute, counted by each process. */
  gatewayFailuresPerNetworkMax: 100,
  /** After its end, so that it can still be seen. */
  wrapTokenKeptMs: 30 * 86_400_000,
  egressObservationsMax: 200,
  /** Kept of one mode: kinds of calls, each counted. */
  egressObservationKindsMax: 1_000,
  egressObservationKeptMs: 90 * 86_400_000,
  oauthBodyBytesMax: 64 * KiB,
  oauthClientsMax: 1_000,
  /** Revoked ones too. */
  oauthClientsListed: 2_000,
  redirectUrisMax: 20,
  redirectUriCharactersMax: 2_048,
  consentTemplateCharactersMax: 16 * KiB,
  refreshGraceSecondsMax: 60,
  accessTokenSeconds: 3_600,
  refreshTokenIdleMs: 30 * 86_400_000,
  refreshTokenMs: 90 * 86_400_000,
  refreshesPerFamilyMax: 10_000,
  clientFailuresPerMinute: 100,
  authorizationCodeMs: 60_000,
  deviceCodeSeconds: 900,
  devicePollSeconds: 5,
  /** A device that goes on asking too often is told to wait no longer than this, and writes nothing more. */
  devicePollSecondsMax: 60,
  /** Devices of one network that wait for an answer. */
  devicesWaitingMax: 50,
  userCodeFailuresPerMinute: 5,
  /** A sign-in that is older is not fresh enough for the scopes that a client wants stepped up. */
  stepUpSignInMs: 300_000,
  dbConnectionsMax: 1_000,
  dbRolesMax: 1_000,
  leaseTtlSecondsMin: 60,
  leaseTtlSecondsMax: 7_776_000,
  leasesPerPage: 100,
  leasesPerPageMax: 500,
  /** Made due, or forgotten, by one transaction. */
  leasesChangedAtOnce: 500,
  liveLeasesCapMax: 1_000_000,
  dbConnectTimeoutMs: 10_000,
  dbConnectTimeoutMsMax: 30_000,
  dbStatementTimeoutMs: 30_000,
  dbStatementTimeoutMsMax: 60_000,
  dbTlsCaCharactersMax: 64 * KiB,
  /** Of a creation or a revocation of a database user. */
  roleStatementsBytesMax: 16 * KiB,
  roleStatementsMax: 50,
  usernameTemplateCharactersMax: 200,
  /** Of what a target database sends during one log-in. */
  databaseAnswersBytesMax: 32 * MiB,
  /** Of one mode. */
  webhooksMax: 50,
  /** Deliveries of one webhook that wait. */
  webhookWaitingMax: 10_000,
  webhookRequestHeadersMax: 50,
  webhookHeaderCharactersMax: 4 * KiB,
  webhookRouteFilterMax: 100,
  /** Of a body in an event, request and answer each. */
  webhookBodyBytesMax: 16 * KiB,
  /** Of one mode. */
  inboundWebhooksMax: 100,
  /** Of a request to one, read before anybody is known. */
  inboundWebhookBodyBytesMax: 2 * MiB,
  /** In a minute. */
  inboundRequestsPerNetworkMax: 6_000,
  /** Without a valid signature, in a minute. */
  inboundFailuresPerNetworkMax: 120,
  /** Of one mode. */
  alertsMax: 50,
  /** Tests of the alerts of one tenant, by one process: each tells every channel. */
  alertTestsPerMinuteMax: 5,
  alertChannelsMax: 10,
  oidcBindingsMax: 200,
  /** With those that were deleted in the last 90 days. */
  oidcBindingsKeptMax: 1_000,
  oidcBindingKeptMs: 90 * 86_400_000,
  oidcIssuerCharactersMax: 512,
  oidcSubjectCharactersMax: 512,
  oidcTtlSecondsDefault: 3_600,
  oidcTtlSecondsMin: 60,
  oidcTtlSecondsMax: 3_600,
  oidcAssertionBytesMax: 16 * KiB,
  oidcAssertionSkewMs: 60_000,
  oidcAssertionAgeMaxMs: 3_600_000,
  jwksCacheMs: 600_000,
  jwksRefetchMs: 30_000,
  jwksBytesMax: 256 * KiB,
  jwksKeysMax: 100,
  jwksIssuersMax: 1_000,
  /** Of the key sets of all issuers together. */
  jwksHeldBytesMax: 16 * MiB,
  /** In the report of orphans. */
  mintedUsersMax: 100_000,
  /** Of a range that the operator opens or trusts, by address family. */
  operatorPrefixMin: { 4: 8, 6: 16 },
  environmentsMax: 100,
  environmentVariablesMax: 100,
  environmentVariableCharactersMax: 4 * KiB,
  /** In one mode. */
  routesMax: 10_000,
  routeTargetCharactersMax: 2_048,
  routeHeadersMax: 50,
  routeHeaderCharactersMax: 4 * KiB,
  routeInjectedBodyBytesMax: 64 * KiB,
  routeNetworksMax: 1_000,
  routeRateLimitMax: 1_000_000_000,
  routeRateWindowSecondsMax: 31 * 86_400,
  routeActionsMax: 100,
  signatureToleranceSecondsDefault: 300,
  signatureToleranceSecondsMax: 3_600,
  /** In one mode. */
  secretsMax: 10_000,
  secretValueBytesMax: 64 * KiB,
  secretHostsMax: 100,
  /** Placeholders of one proxied call, body and query together. */
  secretReferencesMax: 100,
  certificateFileBytesMax: 256 * KiB,
  /** Of what is read from one file. */
  certificatesOfFileMax: 20,
  clientsMax: 10_000,
  clientCredentialsMax: 100,
  clientNotesBytesMax: 4 * KiB,
  /** Of a tenant's own, in one mode, retired ones too. */
  pkiRootsMax: 100,
  /** Of one root. */
  pkiRolesMax: 1_000,
  pkiDomainsMax: 500,
  /** DNS names and addresses of one certificate, each. */
  pkiNamesMax: 100,
  pkiTtlSecondsDefault: 2_592_000,
  pkiTtlSecondsMaxDefault: 7_776_000,
  /** As long as a root lives. */
  pkiTtlSecondsMax: 3_650 * 86_400,
  csrCharactersMax: 64 * KiB,
  revocationReasonCharactersMax: 255,
  /** For a signature, in one process; and of one tenant's authorities: half a second of the slowest key. */
  ocspWaitingMax: 1_024,
  ocspWaitingPerTenantMax: 64,
  /** Revocation lists and questions by OCSP of one network, counted by each process. */
  pkiReadsPerNetworkMax: 3_000,
  pkiReadWindowMs: 60_000,
  dpopProofBytesMax: 8 * KiB,
  dpopJtiBytesMax: 512,
  dpopIatWindowMs: 60_000,
  /** What a proof is remembered for beyond its window: clocks of other processes may be behind. */
  dpopReplayMarginMs: 60_000,
  dpopNonceStepMs: 60_000,
  /** To both sides of the present one. */
  dpopNonceSteps: 2,
  dpopKeysKept: 2_000,
  /** In front of the stored ones, about 200 bytes each. */
  dpopProofsKept: 50_000,
  /** A request for 100 names with a key of RSA 4096, base64url twice over. */
  acmeBodyBytesMax: 64 * KiB,
  acmeNonceMs: 3_600_000,
  /** Of the clocks of two processes. */
  acmeClockSkewMs: 60_000,
  acmeKeysKept: 2_000,
  /** Of http-01, all redirects together. */
  acmeValidationMs: 10_000,
  acmeRedirectsMax: 10,
  acmeValidationBodyBytesMax: 4 * KiB,
  /** In one process; of one tenant. */
  acmeValidationsAtOnce: 32,
  acmeValidationsPerTenantMax: 8,
  /** Of one role; used ones too. */
  acmeExternalKeysMax: 1_000,
  acmeAccountsPerRoleMax: 10_000,
  acmeContactsMax: 10,
  acmeContactCharactersMax: 320,
  /** Signed requests and new accounts of one network, counted by each process. */
  acmeRequestsPerNetworkMax: 1_200,
  acmeRequestWindowMs: 60_000,
  acmeAccountsPerNetworkMax: 100,
  acmeKeyChangesPerNetworkMax: 100,
  acmeAccountWindowMs: 3_600_000,
  acmeNamesPerOrderMax: 100,
  /** Of one account: those under way, and those begun in the window. */
  acmeOpenOrdersMax: 100,
  acmeOrdersPerWindowMax: 300,
  acmeOrderWindowMs: 3_600_000,
  /** Of one network, counted by each process; and of all accounts of a role that no key vouches for. Each name is three rows. */
  acmeOrdersPerNetworkMax: 1_000,
  acmeNamesPerNetworkMax: 5_000,
  acmeOrdersPerRoleMax: 3_000,
  acmeNamesPerRoleMax: 15_000,
  /** Of one account and name. */
  acmeFailuresPerNameMax: 10,
  acmeFailureWindowMs: 3_600_000,
  acmeOrderMs: 7 * 86_400_000,
  acmeAuthorizationMs: 30 * 86_400_000,
  /** After their end. */
  acmeOrderKeptMs: 30 * 86_400_000,
  acmeAccountKeptMs: 90 * 86_400_000,
  acmeOrdersPerPage: 100,
  /** Of a token endpoint that a tenant named, last byte included. */
  oauth2CallMs: 10_000,
  oauth2AnswerBytesMax: 256 * KiB,
  oauth2TokenCharactersMax: 32 * KiB,
  oauth2ScopesMax: 100,
  oauth2CredentialCharactersMax: 16 * KiB,
  oauth2UrlCharactersMax: 2_048,
  /** Of an access token whose end is near: whoever needs it has it renewed first (dataplane.md §3). */
  oauth2RenewAheadMs: 60_000,
  /** Earlier than that, so that callers find it done. */
  oauth2BackgroundAheadMs: 150_000,
  /** Longer than a call, a seal and a write together. */
  oauth2ClaimMs: 60_000,
  oauth2RetryFirstMs: 2_000,
  oauth2RetryMsMax: 900_000,
  /** From the page of consent back to ours. */
  oauth2VisitMs: 900_000,
  oauth2VisitsPerSecretMax: 20,
  signatureNonceCharactersMax: 128,
  /** Of one field action of a route. */
  fieldSelectorsMax: 50,
  fieldSelectorCharactersMax: 512,
  /** Values of one body that one action takes. */
  fieldValuesMax: 1_000,
  /** How long the answer to a finalize waits for the certificate, before the client is told to ask again. */
  acmeFinalizeWaitMs: 3_000,
} as const;
