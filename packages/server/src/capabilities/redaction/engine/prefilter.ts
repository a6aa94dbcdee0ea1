import { KEY_SHAPES } from './key-shapes.js';
import type { BuiltinRules } from './text-redactor.js';

const KEY_PREFIXES = KEY_SHAPES.map((shape) => shape.prefix);

/** Tells quickly that a short text holds nothing to find; null when no built-in is on. */
export function prefilterFor(rules: BuiltinRules): RegExp | null {
  const parts: string[] = [];
  if (rules.has('pan') || rules.has('ssn')) parts.push('[0-9]{3}');
  if (rules.has('email')) parts.push('@');
  if (rules.has('key')) parts.push(...KEY_PREFIXES);
  return parts.length === 0 ? null : new RegExp(parts.join('|'));
}
