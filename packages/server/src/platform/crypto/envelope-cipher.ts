import { assert } from '../../kernel/assert.js';
import type { Mode, TenantId } from '../../kernel/ids.js';
import { DecryptionRefused, decrypt, deriveKey, encrypt, lengthPrefixed } from './authenticated-cipher.js';
import type { Random } from './random.js';

/** The one column of one row that an envelope belongs to; it opens nowhere else. */
export interface EnvelopePlace {
  readonly tenantId: TenantId;
  /** Empty for a row of no mode. */
  readonly mode: Mode | '';
  readonly table: string;
  readonly rowId: string;
  readonly column: string;
}

/**
 * KCT1, the format of all that a tenant master key protects (kms-admin.md §3.2):
 * `KCT1` ‖ u8 flags ‖ u32be key version ‖ salt[16] ‖ iv[12] ‖ tag[16] ‖ ciphertext.
 * Each message has a key of its own, so that no key meets the bound of random ivs.
 */
const MAGIC = Buffer.from('KCT1', 'ascii');
const FLAGS = 0;
const HEADER_BYTES = 9;
const SALT_BYTES = 16;
const INFO = 'knox.kct1';
const VERSION_MAX = 0xffff_ffff;

export function sealEnvelope(
  random: Random,
  masterKey: Buffer,
  version: number,
  place: EnvelopePlace,
  plaintext: Uint8Array,
): Buffer {
  assert(Number.isInteger(version) && version >= 1 && version <= VERSION_MAX, 'key version out of range');
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt8(FLAGS, 4);
  header.writeUInt32BE(version, 5);
  const salt = random.bytes(SALT_BYTES);
  const messageKey = deriveKey(masterKey, salt, INFO);
  try {
    return Buffer.concat([header, salt, encrypt(random, messageKey, aadOf(header, place), plaintext)]);
  } finally {
    messageKey.fill(0);
  }
}

/** The master key version named by the header, before anything is proven: it only chooses the key to try. */
export function envelopeVersion(envelope: Buffer): number {
  if (envelope.length < HEADER_BYTES || !envelope.subarray(0, 4).equals(MAGIC)) throw new DecryptionRefused();
  if (envelope.readUInt8(4) !== FLAGS) throw new DecryptionRefused();
  return envelope.readUInt32BE(5);
}

export function openEnvelope(masterKey: Buffer, place: EnvelopePlace, envelope: Buffer): Buffer {
  envelopeVersion(envelope);
  const header = envelope.subarray(0, HEADER_BYTES);
  const salt = envelope.subarray(HEADER_BYTES, HEADER_BYTES + SALT_BYTES);
  if (salt.length < SALT_BYTES) throw new DecryptionRefused();
  const messageKey = deriveKey(masterKey, salt, INFO);
  try {
    return decrypt(messageKey, aadOf(header, place), envelope.subarray(HEADER_BYTES + SALT_BYTES));
  } finally {
    messageKey.fill(0);
  }
}

function aadOf(header: Buffer, place: EnvelopePlace): Buffer {
  const { tenantId, mode, table, rowId, column } = place;
  return Buffer.concat([header, lengthPrefixed([tenantId, mode, table, rowId, column])]);
}
