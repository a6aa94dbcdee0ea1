import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { JsonObject } from './types.js';

/** dataplane.md §5.1. */
export const ROUTE_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
export type RouteMethod = (typeof ROUTE_METHODS)[number];

/** What one method does otherwise (dataplane.md §5.7). What is null is as the environment has it. */
export interface MethodConfig {
  readonly targetBaseUrl: string | null;
  readonly injectHeaders: Readonly<Record<string, string>> | null;
  readonly injectBody: JsonObject | null;
  readonly rateLimitEnabled: boolean | null;
  readonly rateLimitRequests: number | null;
  readonly rateLimitWindowSec: number | null;
  readonly rateLimitBurst: number | null;
}

export type MethodConfigs = Readonly<Partial<Record<RouteMethod, MethodConfig>>>;

/** What a call may write of an environment. Of one that is not the base, null and empty are as the base has it. */
export interface ConfigTerms {
  readonly targetBaseUrl: string | null;
  readonly injectHeaders: Readonly<Record<string, string>> | null;
  readonly injectBody: JsonObject | null;
  readonly requireSignature: boolean | null;
  readonly signatureToleranceSec: number | null;
  readonly signatureHeader: string | null;
  readonly timestampHeader: string | null;
  readonly rateLimitEnabled: boolean | null;
  readonly rateLimitRequests: number | null;
  readonly rateLimitWindowSec: number | null;
  readonly rateLimitBurst: number | null;
  readonly allowedMethods: readonly RouteMethod[] | null;
  readonly restrictsMethods: boolean | null;
  readonly methodConfigs: MethodConfigs | null;
  readonly usesMethodConfigs: boolean | null;
  readonly egressServerId: string | null;
  readonly requiresClients: boolean | null;
  readonly mtlsCertificateId: string | null;
  readonly ipAllowlist: readonly string[] | null;
  readonly interceptEnabled: boolean | null;
}

export interface RouteConfig extends ConfigTerms {
  readonly id: string;
  readonly scope: Scope;
  readonly routeId: string;
  readonly environment: string;
  /** Never inherited. */
  readonly enabled: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** The names on the wire, as bodies, answers and audit rows have them. */
export const CONFIG_WIRE_NAMES: Readonly<Record<keyof ConfigTerms, string>> = {
  targetBaseUrl: 'target_base_url',
  injectHeaders: 'inject_headers_json',
  injectBody: 'inject_body_json',
  requireSignature: 'require_signature',
  signatureToleranceSec: 'signature_tolerance_sec',
  signatureHeader: 'signature_header',
  timestampHeader: 'timestamp_header',
  rateLimitEnabled: 'rate_limit_enabled',
  rateLimitRequests: 'rate_limit_requests',
  rateLimitWindowSec: 'rate_limit_window_sec',
  rateLimitBurst: 'rate_limit_burst',
  allowedMethods: 'allowed_methods',
  restrictsMethods: 'http_method_restrictions_enabled',
  methodConfigs: 'method_configs',
  usesMethodConfigs: 'use_method_specific_configs',
  egressServerId: 'egress_server_id',
  requiresClients: 'requires_clients',
  mtlsCertificateId: 'mtls_certificate_id',
  ipAllowlist: 'ip_allowlist',
  interceptEnabled: 'intercept_enabled',
};

/** Of an environment that has nothing of its own. */
export const NOTHING_OWN: ConfigTerms = {
  targetBaseUrl: null,
  injectHeaders: null,
  injectBody: null,
  requireSignature: null,
  signatureToleranceSec: null,
  signatureHeader: null,
  timestampHeader: null,
  rateLimitEnabled: null,
  rateLimitRequests: null,
  rateLimitWindowSec: null,
  rateLimitBurst: null,
  allowedMethods: null,
  restrictsMethods: null,
  methodConfigs: null,
  usesMethodConfigs: null,
  egressServerId: null,
  requiresClients: null,
  mtlsCertificateId: null,
  ipAllowlist: null,
  interceptEnabled: null,
};

/** What a base environment does where nothing is said (dataplane.md §5.1, §5.5). */
export const BASE_DEFAULTS: ConfigTerms = {
  ...NOTHING_OWN,
  requireSignature: false,
  signatureToleranceSec: LIMITS.signatureToleranceSecondsDefault,
  rateLimitEnabled: false,
  restrictsMethods: false,
  usesMethodConfigs: false,
  requiresClients: false,
  interceptEnabled: false,
};
