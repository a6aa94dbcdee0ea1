import type { TokenReference } from '../vaults/index.js';
import { templateError } from './errors.js';

/** Split at the first dot only where the left part names a vault: a format-preserving token may hold dots itself. */
export function referenceOf(operand: string, vaultNames: ReadonlySet<string>): TokenReference {
  const dot = operand.indexOf('.');
  if (dot <= 0 || !vaultNames.has(operand.slice(0, dot))) return { vault: null, token: operand };
  const token = operand.slice(dot + 1);
  if (token === '') throw templateError('A token expression names a vault but no token');
  return { vault: operand.slice(0, dot), token };
}
