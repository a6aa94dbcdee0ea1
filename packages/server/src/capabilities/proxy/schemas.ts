import type { AppError } from '../../kernel/errors.js';
import { MASK_TEXT } from '../../kernel/secret.js';
import type { AddressClass } from '../../platform/egress/egress.js';

/** What a call is judged by, in this order, before anything is sent. */
export const RULES = ['target', 'egress_allowlist', 'address', 'template', 'values'] as const;
export type Rule = (typeof RULES)[number];

/** What would be sent. */
export interface Preview {
  readonly url: string;
  /** Flat name, value list. */
  readonly rawHeaders: readonly string[];
  /** Null where there is none, and where it is no text. */
  readonly body: string | null;
}

export interface DryRunResult {
  /** Null where nothing would be sent. */
  readonly preview: Preview | null;
  /** Null where no address was judged. */
  readonly addressClass: AddressClass | null;
  readonly verdicts: readonly {
    readonly name: Rule;
    readonly verdict: 'passed' | 'refused' | 'not_judged';
  }[];
  readonly refusal: AppError | null;
}

/** `data` of the answer to a dry run (dataplane §1.1). */
export function dryRunWire(
  method: string,
  { preview, addressClass, verdicts, refusal }: DryRunResult,
): object {
  return {
    method,
    url: preview?.url ?? null,
    headers: preview === null ? null : headersWire(preview.rawHeaders),
    body_preview: preview?.body ?? null,
    address_class: addressClass,
    rules: verdicts,
    would_send: refusal === null,
    refusal: refusal && { type: refusal.type, status: refusal.status, message: refusal.publicMessage },
  };
}

/** Headers that hold a credential wherever they stand. */
const MASKED = new Set(['authorization', 'x-api-key', 'cookie']);

/** By lower-case name; a list where one stands several times. */
function headersWire(rawHeaders: readonly string[]): Record<string, string | string[]> {
  const values = new Map<string, string[]>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = MASKED.has(name) ? MASK_TEXT : rawHeaders[i + 1]!;
    const known = values.get(name);
    if (known) known.push(value);
    else values.set(name, [value]);
  }
  // From entries: a header may be called `__proto__`.
  return Object.fromEntries([...values].map(([name, list]) => [name, list.length === 1 ? list[0]! : list]));
}
