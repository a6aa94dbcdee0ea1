import type { Transform } from 'node:stream';
import { LIMITS } from '../../../kernel/limits.js';
import { redactionFailed } from '../errors.js';
import type { RegexRules, RegexSearch } from '../regex/regex-search.js';
import type { BodyOptions } from './body-options.js';
import { JsonTransform, TextTransform } from './body-transforms.js';
import { decoderFor } from './decoding.js';
import { redactHeaders } from './header-rules.js';
import { type BodyKind, bodyKind, type MediaType, parseMediaType, textEncoding } from './media-type.js';
import { EventStreamTransform, JsonRecordsTransform } from './record-transforms.js';
import type { RankedRule } from './rule.js';
import type { RuleSet, Selection } from './selection.js';
import { TextRedactor } from './text-redactor.js';

export interface RedactedHead {
  readonly rawHeaders: string[];
  /** What the body passes through, in this order; empty: it passes untouched. */
  readonly body: readonly Transform[];
}

export interface ResponseHead {
  /** Of the request; the answer to HEAD has no body. */
  readonly method: string;
  readonly status: number;
  /** Raw name, value, name, value ... */
  readonly rawHeaders: readonly string[];
}

export interface HeadOptions {
  readonly onRedacted: (rule: RankedRule) => void;
  readonly newSearch: (rules: RegexRules) => RegexSearch;
}

/** Decides from the head of an answer how its body is inspected. Throws `redaction_failed` where it cannot be. */
export function redactHead(rules: RuleSet, head: ResponseHead, options: HeadOptions): RedactedHead {
  if (rules.isEmpty) return { rawHeaders: [...head.rawHeaders], body: [] };
  const type = parseMediaType(firstValue(head.rawHeaders, 'content-type'));
  const selection = rules.select(type.essence);
  const kind = effectiveKind(rules, selection, type.essence);
  const hasBody = head.method !== 'HEAD' && ![204, 205, 304].includes(head.status);
  const isEmpty = firstValue(head.rawHeaders, 'content-length') === '0';
  const isInspected = hasBody && !isEmpty && kind !== 'binary';
  return {
    rawHeaders: redactHeaders(head.rawHeaders, {
      selection,
      bodyMayChange: kind !== 'binary' && !isEmpty && head.status !== 304,
      isDecoded: isInspected,
      onRedacted: options.onRedacted,
    }),
    body: isInspected ? bodyTransforms(kind, type, selection, head, options) : [],
  };
}

/** `binary` also stands for "no rule covers it". */
function effectiveKind(rules: RuleSet, selection: Selection, essence: string): BodyKind {
  const kind = bodyKind(essence);
  const searchesText = selection.builtins.size > 0 || selection.regexes !== null;
  if (!searchesText && selection.paths === null) return 'binary';
  if (kind === 'binary' && rules.names(essence)) return searchesText ? 'text' : 'binary';
  // JSON is sent as plain text, as HTML and under many a name; a path must find it there too.
  if (kind === 'text' || kind === 'unnamed') return selection.paths === null ? 'text' : 'unnamed';
  return kind;
}

function bodyTransforms(
  kind: Exclude<BodyKind, 'binary'>,
  type: MediaType,
  selection: Selection,
  head: ResponseHead,
  options: HeadOptions,
): Transform[] {
  refuseUnreadable(head);
  const decoder = decoderFor(valuesOf(head.rawHeaders, 'content-encoding'));
  const isTooLong = Number(firstValue(head.rawHeaders, 'content-length') ?? 0) > LIMITS.redactionBodyBytesMax;
  if (kind === 'json' && !decoder && isTooLong) {
    throw redactionFailed('the JSON body is larger than redaction parses');
  }
  const inspection = inspectionOf(kind, type, selection, options);
  return decoder ? [decoder, inspection] : [inspection];
}

function refuseUnreadable(head: ResponseHead): void {
  if (valuesOf(head.rawHeaders, 'content-type').length > 1) {
    throw redactionFailed('the body is said to be of more than one type');
  }
  // A range may begin or end inside a value that a rule would have found.
  if (head.status === 206) throw redactionFailed('the body is a part of a document');
}

function inspectionOf(
  kind: Exclude<BodyKind, 'binary'>,
  type: MediaType,
  selection: Selection,
  { onRedacted, newSearch }: HeadOptions,
): Transform {
  const encoding = textEncoding(type.charset);
  if (!encoding) throw redactionFailed('the character set of the body is not one that redaction reads');
  const search = selection.regexes && newSearch(selection.regexes);
  const options: BodyOptions = { rules: selection, encoding, onRedacted, search };
  switch (kind) {
    case 'json':
      return new JsonTransform({ ...options, sniff: false });
    case 'unnamed':
      return new JsonTransform({ ...options, sniff: true });
    case 'event_stream':
      return new EventStreamTransform(options);
    case 'json_lines':
      return new JsonRecordsTransform('newline', options);
    case 'json_sequence':
      return new JsonRecordsTransform('record_separator', options);
    case 'text':
      return new TextTransform(options);
  }
}

/** Text of a log row as it may be stored. */
export function redactLogText(rules: RuleSet, text: string): string {
  if (rules.logBuiltins.size === 0) return text;
  return new TextRedactor(rules.logBuiltins, () => {}).whole(text);
}

function firstValue(rawHeaders: readonly string[], name: string): string | undefined {
  return valuesOf(rawHeaders, name)[0];
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
}
