import type { TokenFormat } from '../tables.js';
import { genericFormat } from './generic.js';
import { panFormat } from './pan.js';
import type { VaultFormat } from './types.js';

/** A token format without an implementation does not compile. */
export const formats: Record<TokenFormat, VaultFormat> = {
  generic: genericFormat,
  pan: panFormat,
};
