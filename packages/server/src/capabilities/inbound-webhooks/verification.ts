import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import { SIGNATURE_HEADERS, SLACK_TIMESTAMP, type WebhookFormat } from '../crypto-keys/index.js';

/** What a request says of its signature. */
export interface GivenSignature {
  /** Signed with the body; null where the format has none. */
  readonly timestampSeconds: number | null;
  /** Any of them will do, as while a secret is changed. */
  readonly candidates: readonly string[];
}

export interface SignatureRule {
  readonly format: WebhookFormat;
  /** Of format `custom`. */
  readonly headerName: string | null;
}

const HEADER_CHARACTERS_MAX = 4_096;
const CANDIDATES_MAX = 16;
const STANDARD: ReadonlySet<string> = new Set(
  Object.values(SIGNATURE_HEADERS)
    .filter((name) => name !== '')
    .map((name) => name.toLowerCase()),
);

/**
 * Whether somebody has tried to sign, whatever the webhook is: so that one which does not exist is answered as one that does.
 * Names of `custom` are not known here, but few are called otherwise.
 */
export function hasAnySignature(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (STANDARD.has(name) || /sign|hmac|digest/.test(name)) return true;
  }
  return false;
}

/** dataplane.md §11.3: the first header of its name. Null where it is not there. */
export function readSignature(
  { format, headerName }: SignatureRule,
  rawHeaders: readonly string[],
): GivenSignature | null {
  const text = headerOf(rawHeaders, format === 'custom' ? headerName! : SIGNATURE_HEADERS[format]);
  if (text === null) return null;
  if (text.length > HEADER_CHARACTERS_MAX) return { timestampSeconds: null, candidates: [] };
  switch (format) {
    case 'stripe':
      return ofStripe(text);
    case 'slack':
      return {
        timestampSeconds: secondsOf(headerOf(rawHeaders, SLACK_TIMESTAMP)),
        candidates: text.startsWith('v0=') ? [text.slice('v0='.length)] : [],
      };
    case 'aws-sns':
      return { timestampSeconds: null, candidates: [text] };
    default:
      return { timestampSeconds: null, candidates: [text.replace(/^sha256=/, '')] };
  }
}

function ofStripe(text: string): GivenSignature {
  let timestampSeconds: number | null = null;
  const candidates: string[] = [];
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    const [name, value] = [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    if (name === 't') timestampSeconds ??= secondsOf(value);
    else if (name === 'v1' && candidates.length < CANDIDATES_MAX) candidates.push(value);
  }
  return { timestampSeconds, candidates };
}

/** A format that signs a time has none that is valid without it. */
export function isSigned(format: WebhookFormat, given: GivenSignature): boolean {
  if ((format === 'stripe' || format === 'slack') && given.timestampSeconds === null) return false;
  return given.candidates.length > 0;
}

/** The MAC as a candidate is written, out of a whole header value as the signer writes it. */
export function macText(format: WebhookFormat, value: string): string {
  return format === 'aws-sns' ? value : value.slice(value.lastIndexOf('=') + 1);
}

/** All are compared, each in constant time. */
export function fits(candidates: readonly string[], expected: readonly string[]): boolean {
  let found = false;
  for (const mac of expected)
    for (const candidate of candidates)
      if (equalInConstantTime(Buffer.from(candidate), Buffer.from(mac))) found = true;
  return found;
}

/** When the sender says that it was sent: signed with the body, or in it. Undefined: nothing tells. */
export function sentAtMs(given: GivenSignature, body: Buffer): number | undefined {
  if (given.timestampSeconds !== null) return given.timestampSeconds * 1_000;
  try {
    const { timestamp } = JSON.parse(body.toString('utf8')) as { timestamp?: unknown };
    const ms = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
    return Number.isNaN(ms) ? undefined : ms;
  } catch {
    return undefined;
  }
}

function secondsOf(text: string | null): number | null {
  return text !== null && /^\d{1,12}$/.test(text) ? Number(text) : null;
}

function headerOf(rawHeaders: readonly string[], name: string): string | null {
  const lower = name.toLowerCase();
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]!.toLowerCase() === lower) return rawHeaders[i + 1]!.trim();
  return null;
}
