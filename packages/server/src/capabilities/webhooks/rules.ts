import { validationError, validationErrors } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { OWN_HEADERS, signatureHeaderOf } from './deliveries/message.js';
import type { AuthConfig, RequestHeaders } from './sealed-parts.js';
import type { WebhookTerms } from './store.js';
import type { AuthType } from './tables.js';

/** RFC 9110 §5.6.2. */
export const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,255}$/;
/** RFC 9110 §5.5, in bytes that every receiver reads alike: nothing that ends a line. */
export const HEADER_VALUE = /^[\x20-\x7e]*$/;

/** Of the connection or the message: nobody's but the guard's. */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'trailer',
  'te',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
]);

/** What each type wants to know; `hmac`: the signature, which every delivery has, is all. */
const CONFIG_MEMBERS: Readonly<Record<AuthType, readonly string[]>> = {
  none: [],
  basic: ['username', 'password'],
  bearer: ['token'],
  hmac: [],
  header: ['name', 'value'],
};

/** Why nobody but us may set a header of that name, or null. */
function nameProblem(name: string, format: Pick<WebhookTerms, 'hmacFormat' | 'hmacHeaderName'>) {
  const lower = name.toLowerCase();
  if (!HEADER_NAME.test(name)) return 'is no name of a header';
  if (CONNECTION_HEADERS.has(lower)) return 'belongs to the connection';
  if (OWN_HEADERS.has(lower) || lower === signatureHeaderOf(format).toLowerCase())
    return 'is set by the delivery itself';
  return null;
}

function requireTexts(field: string, value: Readonly<Record<string, string>>): void {
  const bad = Object.entries(value).find(([, text]) => !HEADER_VALUE.test(text));
  if (bad) throw validationError(`${field}.${bad[0]}`, 'must be visible ASCII characters and spaces');
}

export function requireFormatFits({
  hmacFormat,
  hmacHeaderName,
}: Pick<WebhookTerms, 'hmacFormat' | 'hmacHeaderName'>): void {
  if (hmacFormat !== 'custom') {
    if (hmacHeaderName !== null)
      throw validationError('hmac_header_name', 'goes with hmac_format custom alone');
    return;
  }
  if (hmacHeaderName === null) throw validationError('hmac_header_name', 'is due with hmac_format custom');
  const lower = hmacHeaderName.toLowerCase();
  if (CONNECTION_HEADERS.has(lower) || OWN_HEADERS.has(lower) || lower === 'authorization')
    throw validationError('hmac_header_name', 'is the name of another header of each delivery');
}

/** The members that the type wants, and no other. */
export function readAuthConfig(
  authType: AuthType,
  given: Readonly<Record<string, string>> | null,
  format: Pick<WebhookTerms, 'hmacFormat' | 'hmacHeaderName'>,
): Secret<AuthConfig> | null {
  const wanted = CONFIG_MEMBERS[authType];
  const config = given ?? {};
  const problems = new Map<string, string[]>();
  for (const name of Object.keys(config))
    if (!wanted.includes(name))
      problems.set(`auth_config.${name}`, [`has no place with auth_type ${authType}`]);
  for (const name of wanted)
    if (!config[name]) problems.set(`auth_config.${name}`, [`is due with auth_type ${authType}`]);
  if (problems.size > 0) throw validationErrors(problems);
  if (wanted.length === 0) return null;
  // What goes into Base64 may be any text.
  if (authType !== 'basic') requireTexts('auth_config', config);
  else if (config['username']!.includes(':'))
    throw validationError('auth_config.username', 'must hold no colon (RFC 7617)');
  if (authType === 'header') {
    const problem = nameProblem(config['name']!, format);
    if (problem !== null) throw validationError('auth_config.name', problem);
  }
  return new Secret(config as unknown as AuthConfig);
}

export function readRequestHeaders(
  given: Readonly<Record<string, string>> | null,
  terms: Pick<WebhookTerms, 'authType' | 'hmacFormat' | 'hmacHeaderName'>,
): Secret<RequestHeaders> | null {
  const names = Object.keys(given ?? {});
  if (given === null || names.length === 0) return null;
  if (names.length > LIMITS.webhookRequestHeadersMax)
    throw validationError('request_headers', `must have at most ${LIMITS.webhookRequestHeadersMax} headers`);
  const seen = new Set<string>();
  for (const name of names) {
    const lower = name.toLowerCase();
    const problem =
      nameProblem(name, terms) ??
      (seen.has(lower) ? 'is there twice' : null) ??
      (lower === 'authorization' && (terms.authType === 'basic' || terms.authType === 'bearer')
        ? `is set by auth_type ${terms.authType}`
        : null);
    if (problem !== null) throw validationError(`request_headers.${name}`, problem);
    seen.add(lower);
  }
  requireTexts('request_headers', given);
  return new Secret(given);
}
