import type { Services } from './services.js';

/** What the services hold open, in the order in which it was opened: the last is the first to be closed. */
export function closersOf(services: Services): (() => unknown)[] {
  return [
    () => services.auditChain.stop(),
    () => services.kms.close(),
    () => services.cryptoKeys.close(),
    () => services.authorities.close(),
    () => services.generations.stop(),
    () => services.apiKeys.stop(),
    () => services.oauthClients.stop(),
    () => services.clients.stop(),
    () => services.wrap.stop(),
    () => services.oauth2Secrets.close(),
    () => services.limiter.stop(),
    () => services.plans.stop(),
    () => services.apiLogs.flush(),
    () => services.redaction.close(),
    () => services.auth.flush(),
  ];
}
