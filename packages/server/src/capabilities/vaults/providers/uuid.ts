import type { VaultFormat } from './types.js';

/** The four values of RFC 9562's variant. */
const VARIANTS = '89ab';
const HEX = '0123456789abcdef';

/** UUIDs of version 4 (RFC 9562 §5.4), random in all their 122 bits: row ids, which begin with the time, are not. */
export const uuidFormat: VaultFormat = {
  validate: () => null,
  generate(_value, random) {
    const hex = random.text(HEX, 30);
    const groups = [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(12, 15)}`,
      `${random.text(VARIANTS, 1)}${hex.slice(15, 18)}`,
      hex.slice(18),
    ];
    return groups.join('-');
  },
};
