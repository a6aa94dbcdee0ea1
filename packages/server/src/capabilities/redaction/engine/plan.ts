import type { Transform } from 'node:stream';
import { LIMITS } from '../../../kernel/limits.js';
import { type EchoGuard, EchoTransform } from '../echo/echo-guard.js';
import type { EchoScanner } from '../echo/echo-scanner.js';
import { redactionFailed } from '../errors.js';
import type { RegexRules, RegexSearch } from '../regex/regex-search.js';
import type { BodyOptions } from './body-options.js';
import { JsonTransform, TextTransform } from './body-transforms.js';
import type { TextEncoding } from './byte-text.js';
import { decoderFor } from './decoding.js';
import { guardHeaders, type HeaderChanges, redactHeaders } from './header-rules.js';
import { type BodyKind, bodyKind, type MediaType, parseMediaType, textEncoding } from './media-type.js';
import { EventStreamTransform, JsonRecordsTransform } from './record-transforms.js';
import type { RankedRule } from './rule.js';
import type { RuleSet, Selection } from './selection.js';
import { TextRedactor } from './text-redactor.js';

export interface RedactedHead {
  /** Without what describes the body as it was, where that may change. */
  readonly rawHeaders: string[];
  /** What the body passes through, in this order; empty: it passes untouched. */
  readonly body: readonly Transform[];
  /** Set where values of the call are looked for in the body. */
  readonly echo: EchoedBody | null;
}

export interface EchoedBody {
  /** Stands in `body` where that is not empty; else the body is to be given to it. */
  readonly scanner: EchoScanner;
  /** The head when it found nothing after all, and nothing else changes the body. */
  readonly unchangedHeaders: string[];
  /** Said to be short, or one document: the head can wait until all was read, and tell what was found. */
  readonly mayWait: boolean;
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
  /** Null when nothing was detokenized for the call, or nothing that is looked for. */
  readonly guard: EchoGuard | null;
}

/** Decides from the head of an answer how its body is inspected. Throws `redaction_failed` where it cannot be. */
export function redactHead(rules: RuleSet, head: ResponseHead, options: HeadOptions): RedactedHead {
  const guard = options.guard?.isActive ? options.guard : null;
  if (rules.isEmpty && !guard) return { rawHeaders: [...head.rawHeaders], body: [], echo: null };
  const type = parseMediaType(firstValue(head.rawHeaders, 'content-type'));
  const selection = rules.select(type.essence);
  const kind = effectiveKind(rules, selection, type.essence);
  const echoKind = guard ? bodyKind(type.essence) : 'binary';
  // 205 has none by RFC 9110 §15.3.6, yet one that comes is forwarded: so it is looked into.
  const hasBody = head.method !== 'HEAD' && ![204, 304].includes(head.status);
  const isEmpty = firstValue(head.rawHeaders, 'content-length') === '0';
  const isTextual = (kind !== 'binary' || echoKind !== 'binary') && !isEmpty;
  const isInspected = hasBody && isTextual;
  const guarded = guard ? guardHeaders(head.rawHeaders, guard) : head.rawHeaders;
  const changes = { selection, onRedacted: options.onRedacted, isDecoded: isInspected };
  if (!isInspected) {
    const rawHeaders = redactHeaders(guarded, changes, isTextual && head.status !== 304);
    return { rawHeaders, body: [], echo: null };
  }
  refuseUnreadable(head);
  const decoder = decoderFor(valuesOf(head.rawHeaders, 'content-encoding'));
  const declared = firstValue(head.rawHeaders, 'content-length');
  if (kind === 'json' && !decoder && Number(declared ?? 0) > LIMITS.redactionBodyBytesMax) {
    throw redactionFailed('the JSON body is larger than redaction parses');
  }
  const scanner = guard && echoKind !== 'binary' ? echoScanner(guard, echoKind, type) : null;
  const inspection = kind === 'binary' ? null : inspectionOf(kind, type, selection, options);
  const isEchoOnly = !decoder && !inspection;
  const way = [decoder, scanner && !isEchoOnly ? new EchoTransform(scanner) : null, inspection];
  const body: Transform[] = way.filter((part) => part !== null);
  if (!scanner) return { rawHeaders: redactHeaders(guarded, changes, true), body, echo: null };
  const mayWait = echoKind === 'json' || Number(declared ?? Infinity) <= LIMITS.echoHeldBytesMax;
  return new EchoedHead(guarded, changes, body, scanner, mayWait, isEchoOnly);
}

/** Headers are made when they are asked for: of the two an answer takes one. Accessors of a literal would be slow to make. */
class EchoedHead implements RedactedHead, EchoedBody {
  constructor(
    private readonly guarded: readonly string[],
    private readonly changes: HeaderChanges,
    readonly body: readonly Transform[],
    readonly scanner: EchoScanner,
    readonly mayWait: boolean,
    private readonly isEchoOnly: boolean,
  ) {}

  get echo(): EchoedBody {
    return this;
  }

  get rawHeaders(): string[] {
    return redactHeaders(this.guarded, this.changes, true);
  }

  get unchangedHeaders(): string[] {
    return redactHeaders(this.guarded, this.changes, !this.isEchoOnly);
  }
}

function echoScanner(guard: EchoGuard, kind: Exclude<BodyKind, 'binary'>, type: MediaType): EchoScanner {
  const isSniffed = kind === 'text' || kind === 'unnamed';
  return guard.scanner(readableEncoding(type), isSniffed ? 'unknown' : 'json');
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

function refuseUnreadable(head: ResponseHead): void {
  if (valuesOf(head.rawHeaders, 'content-type').length > 1) {
    throw redactionFailed('the body is said to be of more than one type');
  }
  // A range may begin or end inside a value that a rule would have found.
  if (head.status === 206) throw redactionFailed('the body is a part of a document');
}

function readableEncoding(type: MediaType): TextEncoding {
  const encoding = textEncoding(type.charset);
  if (!encoding) throw redactionFailed('the character set of the body is not one that redaction reads');
  return encoding;
}

function inspectionOf(
  kind: Exclude<BodyKind, 'binary'>,
  type: MediaType,
  selection: Selection,
  { onRedacted, newSearch }: HeadOptions,
): Transform {
  const encoding = readableEncoding(type);
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

function firstValue(rawHeaders: readonly string[], lowerName: string): string | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return rawHeaders[i + 1];
  }
  return undefined;
}

function valuesOf(rawHeaders: readonly string[], lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) values.push(rawHeaders[i + 1]!);
  }
  return values;
}
