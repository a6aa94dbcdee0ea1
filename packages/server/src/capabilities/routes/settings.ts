import { LIMITS } from '../../kernel/limits.js';
import { type ConfigTerms, type MethodConfig, NOTHING_OWN, type RouteMethod } from './config.js';
import type { RouteRateLimit, RouteSettings } from './types.js';

const SIGNATURE_HEADER = 'X-Signature';
const TIMESTAMP_HEADER = 'X-Timestamp';
/** Where a limit names none. */
const RATE_WINDOW_SECONDS = 60;

/** What holds in an environment: its own, else that of the base; a set value as a whole (dataplane.md §4). */
export function inherited(base: ConfigTerms, own: ConfigTerms): ConfigTerms {
  const names = Object.keys(NOTHING_OWN) as (keyof ConfigTerms)[];
  return Object.fromEntries(
    names.map((name) => [name, isUnset(own[name]) ? base[name] : own[name]]),
  ) as unknown as ConfigTerms;
}

/** Null, or a list or an object with nothing in it. */
function isUnset(value: ConfigTerms[keyof ConfigTerms]): boolean {
  if (typeof value !== 'object' || value === null) return value === null;
  return Object.keys(value).length === 0;
}

/** What a method does in an environment whose terms are inherited already. */
export function settingsOf(terms: ConfigTerms, override: MethodConfig | null): RouteSettings {
  return {
    targetBaseUrl: override?.targetBaseUrl ?? terms.targetBaseUrl ?? '',
    injectHeaders: new Map(Object.entries(override?.injectHeaders ?? terms.injectHeaders ?? {})),
    injectBody: override?.injectBody ?? terms.injectBody,
    requireSignature: terms.requireSignature ?? false,
    signatureToleranceSec: terms.signatureToleranceSec ?? LIMITS.signatureToleranceSecondsDefault,
    signatureHeader: terms.signatureHeader ?? SIGNATURE_HEADER,
    timestampHeader: terms.timestampHeader ?? TIMESTAMP_HEADER,
    rateLimit: rateLimitOf(terms, override),
    // Restricted to a list that is not there any more: to none.
    allowedMethods: terms.restrictsMethods ? (terms.allowedMethods ?? []) : null,
    egressServerId: terms.egressServerId,
    requiresClients: terms.requiresClients ?? false,
    mtlsCertificateId: terms.mtlsCertificateId,
    ipAllowlist: terms.ipAllowlist ?? [],
    interceptEnabled: terms.interceptEnabled ?? false,
  };
}

/** The override of a method where the environment has its overrides switched on. */
export function overrideOf(terms: ConfigTerms, method: string): MethodConfig | null {
  if (!terms.usesMethodConfigs || terms.methodConfigs === null) return null;
  return Object.hasOwn(terms.methodConfigs, method) ? terms.methodConfigs[method as RouteMethod]! : null;
}

/** Of an override that names how many, the limit is on unless it says otherwise. */
function rateLimitOf(terms: ConfigTerms, override: MethodConfig | null): RouteRateLimit | null {
  const named = override?.rateLimitRequests ?? null;
  const isOn = override?.rateLimitEnabled ?? (named !== null || terms.rateLimitEnabled === true);
  if (!isOn) return null;
  return {
    requests: named ?? terms.rateLimitRequests ?? 0,
    windowSec: override?.rateLimitWindowSec ?? terms.rateLimitWindowSec ?? RATE_WINDOW_SECONDS,
    burst: override?.rateLimitBurst ?? terms.rateLimitBurst ?? 0,
  };
}
