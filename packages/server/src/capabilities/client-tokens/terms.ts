import { validationError, validationErrors } from '../../kernel/errors.js';
import type { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';
import { normalisedOrigins } from './origins.js';
import { hashOfData, hashOfText } from './pinned-data.js';
import type { CreateTokenBody } from './schemas.js';
import type { NewCapability } from './service.js';

const NEEDED = { decrypt: ['data'], detokenize: ['data'], tokenize: ['vault', 'origins'] } as const;
const ALLOWED = {
  decrypt: ['data', 'role'],
  detokenize: ['data', 'vault'],
  tokenize: ['vault', 'origins'],
} as const satisfies Record<string, readonly Pin[]>;
type Pin = 'data' | 'role' | 'vault' | 'origins';
const QUOTE = 0x22;
const PINS: readonly Pin[] = ['data', 'role', 'vault', 'origins'];

/** What each action is pinned to (clients-pki.md §5): all that is due, and nothing that would mean nothing. */
export function capabilityOf(body: CreateTokenBody): NewCapability {
  const { action, data, role = null, vault = null, origins, ttl_seconds: ttlSeconds } = body;
  requirePins(body);
  return {
    action,
    dataHash: data === undefined ? null : hashOf(action, data),
    role,
    vault,
    origins: origins === undefined ? null : normalisedOrigins(origins),
    ttlSeconds,
  };
}

function requirePins(body: CreateTokenBody): void {
  const { action } = body;
  const [needed, allowed]: (readonly Pin[])[] = [NEEDED[action], ALLOWED[action]];
  const errors = new Map<string, string[]>();
  for (const pin of PINS) {
    const isGiven = body[pin] !== undefined;
    if (!isGiven && needed!.includes(pin)) errors.set(pin, [`is required for ${action}`]);
    if (isGiven && !allowed!.includes(pin)) errors.set(pin, [`is not for ${action}`]);
  }
  if (errors.size > 0) throw validationErrors(errors);
}

function hashOf(action: CreateTokenBody['action'], data: JsonText): Buffer {
  if (action === 'decrypt') return hashOfData(data);
  // Of anything else, which may be megabytes of lists, no value is made.
  const token = data.bytes[0] === QUOTE ? (JSON.parse(data.bytes.toString('utf8')) as unknown) : null;
  const isToken =
    typeof token === 'string' && token.length > 0 && token.length <= LIMITS.tokenParamCharactersMax;
  if (!isToken) throw validationError('data', 'must be a token: a text of 1 to 16384 characters');
  return hashOfText(token);
}
