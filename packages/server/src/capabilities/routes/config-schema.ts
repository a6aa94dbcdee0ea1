import { z } from 'zod';
import { parseCidr, parseIpAddress } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { type MethodConfig, type MethodConfigs, ROUTE_METHODS, type RouteMethod } from './config.js';
import { headersProblem, injectedBodyProblem, isHeaderName } from './injecting.js';
import type { SentTerms } from './writing.js';

const NETWORK_CHARACTERS_MAX = 64;

/** Why a target cannot be one, before its name is looked at; null = it may be. */
function targetProblem(text: string): string | null {
  if (text === '') return null;
  if (!URL.canParse(text)) return 'must be an absolute URL';
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') return 'must begin with https: or http:';
  if (username !== '' || password !== '') return 'must not hold a user name or password: inject a header';
  if (text.includes('#')) return 'must not have a fragment, which is not sent';
  if (text.includes('{{')) return 'must not hold placeholders';
  return null;
}

function refusing<T>(problemOf: (value: T) => string | null) {
  return (value: T, context: z.RefinementCtx): void => {
    const problem = problemOf(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  };
}

export const target = z
  .string()
  .max(LIMITS.routeTargetCharactersMax)
  .superRefine(refusing(targetProblem))
  .meta({ examples: ['https://api.example.com/v1'] });

const headers = z
  .record(z.string(), z.string().max(LIMITS.routeHeaderCharactersMax))
  .superRefine(refusing(headersProblem));
const body = z.record(z.string(), z.unknown()).superRefine(refusing(injectedBodyProblem));
const headerName = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .refine(isHeaderName, 'must be the name of a header');
const method = z
  .string()
  .max(7)
  .transform((text) => text.toUpperCase())
  .refine(
    (text) => ROUTE_METHODS.includes(text as RouteMethod),
    `must be one of ${ROUTE_METHODS.join(', ')}`,
  );
const network = z
  .string()
  .max(NETWORK_CHARACTERS_MAX)
  .refine(
    (text) => (parseIpAddress(text) ?? parseCidr(text)) !== null,
    'must be an IP address or a CIDR range without host bits',
  );

const limits = {
  rate_limit_enabled: z.boolean().nullable().describe('Due with rate_limit_requests.'),
  rate_limit_requests: z
    .number()
    .int()
    .min(1)
    .max(LIMITS.routeRateLimitMax)
    .nullable()
    .describe('In a window that slides.'),
  rate_limit_window_sec: z
    .number()
    .int()
    .min(1)
    .max(LIMITS.routeRateWindowSecondsMax)
    .nullable()
    .describe('Seconds; null: 60.'),
  rate_limit_burst: z
    .number()
    .int()
    .min(0)
    .max(LIMITS.routeRateLimitMax)
    .nullable()
    .describe('Requests beyond, for a short time; null: none.'),
};

const injecting = {
  target_base_url: target.nullable(),
  inject_headers_json: headers
    .nullable()
    .describe('Put in the place of headers of that name; values may hold {{secret_id:…}} and {{secret:…}}.'),
  inject_body_json: body
    .nullable()
    .describe(
      'Members put over those of a JSON object, with POST, PUT and PATCH; texts may hold placeholders.',
    ),
};

const methodConfig = z
  .strictObject({ ...injecting, ...limits })
  .partial()
  .transform(
    (sent): MethodConfig => ({
      targetBaseUrl: sent.target_base_url || null,
      injectHeaders: sent.inject_headers_json ?? null,
      injectBody: sent.inject_body_json ?? null,
      rateLimitEnabled: sent.rate_limit_enabled ?? null,
      rateLimitRequests: sent.rate_limit_requests ?? null,
      rateLimitWindowSec: sent.rate_limit_window_sec ?? null,
      rateLimitBurst: sent.rate_limit_burst ?? null,
    }),
  );

const methodConfigs = z
  .record(z.string(), methodConfig)
  .superRefine(
    refusing((configs) => {
      const names = Object.keys(configs).map((name) => name.toUpperCase());
      const unknown = names.find((name) => !ROUTE_METHODS.includes(name as RouteMethod));
      if (unknown !== undefined) return `must name methods alone: ${ROUTE_METHODS.join(', ')}`;
      return new Set(names).size < names.length ? 'must name each method once' : null;
    }),
  )
  .transform(
    (configs): MethodConfigs =>
      Object.fromEntries(Object.entries(configs).map(([name, config]) => [name.toUpperCase(), config])),
  );

/** Of POST, PATCH and PUT alike. */
export const configFields = {
  ...injecting,
  ...limits,
  require_signature: z
    .boolean()
    .nullable()
    .describe('Calls have to be signed by the secret of their client.'),
  signature_tolerance_sec: z
    .number()
    .int()
    .min(0)
    .max(LIMITS.signatureToleranceSecondsMax)
    .nullable()
    .describe('By which the time of a signature may be off, both ways, in seconds.'),
  signature_header: headerName.nullable().describe('Null: X-Signature.'),
  timestamp_header: headerName.nullable().describe('Null: X-Timestamp.'),
  allowed_methods: z
    .array(method)
    .max(ROUTE_METHODS.length)
    .transform((methods) => [...new Set(methods)] as RouteMethod[])
    .nullable()
    .describe('Others are 405, where http_method_restrictions_enabled is true.'),
  http_method_restrictions_enabled: z
    .boolean()
    .nullable()
    .describe('Where it is not sent beside allowed_methods: true if that names any.'),
  method_configs: methodConfigs
    .nullable()
    .describe('By method, what it does otherwise; what it does not name is as the environment has it.'),
  use_method_specific_configs: z
    .boolean()
    .nullable()
    .describe('Where it is not sent beside method_configs: true if that names any.'),
  egress_server_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe(
      'By which calls go out; null: as in the base environment, and in the base by the default of the mode.',
    ),
  requires_clients: z
    .boolean()
    .nullable()
    .describe('True: who calls has to be a client that is assigned here; a key alone will not do.'),
  mtls_certificate_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe('A secret of the type certificate, which is shown to the upstream.'),
  ip_allowlist: z
    .array(network)
    .max(LIMITS.routeNetworksMax)
    .nullable()
    .describe('Addresses and ranges from which calls may come; empty: any.'),
  intercept_enabled: z.boolean().nullable().describe('The intercept manifest names it.'),
};

/** What older versions took, and what other servers have: refused with a reason, never ignored (decision 0003). */
export const refusedFields = {
  injection_rules: z
    .array(z.unknown())
    .max(
      0,
      'are not written any more: put {{secret_id:…}} placeholders into inject_headers_json or inject_body_json',
    )
    .describe('Empty, or left out.'),
  data_plane_node_id: z
    .null('this server has no data plane nodes: leave it out or send null')
    .describe('Null: this server has no nodes.'),
};

type SentConfig = { [Name in keyof typeof configFields]?: z.output<(typeof configFields)[Name]> | undefined };

/** What was sent, and nothing else. */
export function termsOf(sent: SentConfig & { readonly enabled?: boolean | undefined }): SentTerms {
  const all = {
    enabled: sent.enabled,
    targetBaseUrl: sent.target_base_url === '' ? null : sent.target_base_url,
    injectHeaders: sent.inject_headers_json,
    injectBody: sent.inject_body_json,
    requireSignature: sent.require_signature,
    signatureToleranceSec: sent.signature_tolerance_sec,
    signatureHeader: sent.signature_header,
    timestampHeader: sent.timestamp_header,
    rateLimitEnabled: sent.rate_limit_enabled,
    rateLimitRequests: sent.rate_limit_requests,
    rateLimitWindowSec: sent.rate_limit_window_sec,
    rateLimitBurst: sent.rate_limit_burst,
    allowedMethods: sent.allowed_methods,
    restrictsMethods: sent.http_method_restrictions_enabled,
    methodConfigs: sent.method_configs,
    usesMethodConfigs: sent.use_method_specific_configs,
    egressServerId: sent.egress_server_id,
    requiresClients: sent.requires_clients,
    mtlsCertificateId: sent.mtls_certificate_id,
    ipAllowlist: sent.ip_allowlist,
    interceptEnabled: sent.intercept_enabled,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
