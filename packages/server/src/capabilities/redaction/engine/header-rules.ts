import type { EchoGuard } from '../echo/echo-guard.js';
import { fromByteText, toByteText } from './byte-text.js';
import { type RankedRule, replacementFor } from './rule.js';
import type { Selection } from './selection.js';
import { TextRedactor } from './text-redactor.js';

/** Headers that frame the message or describe it: no rule may take them, no built-in searches them. */
const FRAMING = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Values made of dates, counts and hashes: in them a built-in would only find what is not there. */
const NOT_SEARCHED = new Set([
  'accept-ranges',
  'age',
  'alt-svc',
  'cache-control',
  'content-digest',
  'content-md5',
  'date',
  'digest',
  'etag',
  'expires',
  'last-modified',
  'repr-digest',
  'retry-after',
  'vary',
  'via',
]);

/** Validators and digests of the body as the upstream sent it, false once the body may change. */
const OF_THE_BODY = new Set([
  'accept-ranges',
  'content-digest',
  'content-length',
  'content-md5',
  'digest',
  'etag',
  'repr-digest',
]);

export function isFramingHeader(name: string): boolean {
  return FRAMING.has(name.toLowerCase());
}

export interface HeaderChanges {
  readonly selection: Selection;
  /** The body leaves without the content coding that it came with. */
  readonly isDecoded: boolean;
  readonly onRedacted: (rule: RankedRule) => void;
}

/**
 * Applies header rules, then the built-ins to every other value, a cookie's too. Raw name, value, name, value ...
 * `bodyMayChange`: the body may differ from what the headers say of it.
 */
export function redactHeaders(
  rawHeaders: readonly string[],
  changes: HeaderChanges,
  bodyMayChange: boolean,
): string[] {
  const { selection, isDecoded, onRedacted } = changes;
  const values =
    selection.builtins.size > 0 ? new TextRedactor(selection.builtins, onRedacted, headerText) : null;
  const out: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    const key = name.toLowerCase();
    if (bodyMayChange && OF_THE_BODY.has(key)) continue;
    if (isDecoded && key === 'content-encoding') continue;
    const rule = FRAMING.has(key) ? undefined : selection.headers.get(key);
    if (rule) {
      onRedacted(rule);
      if (rule.spec.action !== 'remove') out.push(name, headerText(replacementFor(rule.spec, value)));
    } else {
      const searched = values && !FRAMING.has(key) && !NOT_SEARCHED.has(key);
      out.push(name, searched ? values.whole(value) : value);
    }
  }
  return out;
}

/** Values of the call that come back in a header: in a `Location`, a cookie. */
export function guardHeaders(rawHeaders: readonly string[], guard: EchoGuard): readonly string[] {
  let guarded: string[] | null = null;
  for (let i = 1; i < rawHeaders.length; i += 2) {
    const value = rawHeaders[i]!;
    if (value.length < guard.bytesMin) continue;
    const name = rawHeaders[i - 1]!.toLowerCase();
    if (FRAMING.has(name) || NOT_SEARCHED.has(name)) continue;
    guarded ??= [...rawHeaders];
    // A scanner for each: headers are few, and what one begins another does not end.
    guarded[i] = toByteText(guard.scanner('utf-8', 'none').whole(fromByteText(value)));
  }
  return guarded ?? rawHeaders;
}

/** RFC 9110 §5.5: a field value is visible ASCII; all else of a replacement becomes `*`. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e\x80-\xff]/gu, '*');
}
