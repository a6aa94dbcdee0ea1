import type { TokenFormat } from '../tables.js';
import { emailFormat } from './email.js';
import { genericFormat } from './generic.js';
import { panFormat } from './pan.js';
import { ssnFormat } from './ssn.js';
import type { VaultFormat } from './types.js';
import { uuidFormat } from './uuid.js';

/** A token format without an implementation does not compile. */
export const formats: Record<TokenFormat, VaultFormat> = {
  generic: genericFormat,
  pan: panFormat,
  ssn: ssnFormat,
  email: emailFormat,
  uuid: uuidFormat,
};
