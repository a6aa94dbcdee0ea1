import { canonicalJson } from '../../../kernel/canonical-json.js';
import { isoTime } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { Secret } from '../../../kernel/secret.js';
import { deriveKey } from '../../../platform/crypto/authenticated-cipher.js';
import { createSigner, isSignedBy, keyIdOf, type Signer } from '../../../platform/crypto/signing.js';

/** Says of one row of a chain what its hash is; whoever recomputes the chain from an earlier row contradicts it. */
export interface Checkpoint {
  /** Empty: the critical chain. */
  readonly tenantId: TenantId;
  /** `trim` also allows that nothing is left up to this row. */
  readonly kind: 'checkpoint' | 'trim';
  readonly sequenceNumber: number;
  readonly rowHash: Buffer;
  readonly atMs: number;
  readonly keyId: string;
  readonly signature: Buffer;
}

export interface CheckpointKey {
  readonly keyId: string;
  readonly publicKey: Buffer;
  readonly endorsedBy: string | null;
  readonly endorsement: Buffer | null;
}

const CHECKPOINT_DOMAIN = 'knoxcall.audit.checkpoint.v1';
const ENDORSEMENT_DOMAIN = 'knoxcall.audit.checkpoint-key.v1';
/** Far more than an installation will ever have root keys; ends a ring of endorsements. */
const ENDORSEMENTS_MAX = 1_000;

export function checkpointSigner(rootKey: Secret<Buffer>): Signer {
  const seed = deriveKey(rootKey.reveal(), Buffer.alloc(0), 'knox.audit.checkpoint');
  try {
    return createSigner(seed);
  } finally {
    seed.fill(0);
  }
}

export function signCheckpoint(signer: Signer, unsigned: Statement): Checkpoint {
  return { ...unsigned, keyId: signer.keyId, signature: signer.sign(messageOf(unsigned)) };
}

/** As it stands in the log: with the public key, anyone can check it. */
export function checkpointFields(checkpoint: Checkpoint): Record<string, unknown> {
  const { keyId, signature } = checkpoint;
  return { ...statementOf(checkpoint), key_id: keyId, signature: signature.toString('base64') };
}

export function endorse(signer: Signer, publicKey: Buffer): Buffer {
  return signer.sign(endorsementOf(publicKey));
}

/** Whether a checkpoint is signed by the present key, or by one for which a chain of endorsements leads to it. */
export function createTrust(signer: Signer, kept: readonly CheckpointKey[]) {
  const byId = new Map(kept.map((key) => [key.keyId, key]));
  const trusted = new Map([[signer.keyId, signer.publicKey]]);
  for (const key of kept) if (leadsToSigner(key)) trusted.set(key.keyId, key.publicKey);

  function leadsToSigner(key: CheckpointKey): boolean {
    let at: CheckpointKey | undefined = key;
    for (let steps = 0; at && steps < ENDORSEMENTS_MAX; steps++) {
      if (keyIdOf(at.publicKey) !== at.keyId) return false;
      if (at.keyId === signer.keyId) return at.publicKey.equals(signer.publicKey);
      const by: CheckpointKey | undefined = at.endorsedBy === null ? undefined : byId.get(at.endorsedBy);
      if (!by || !at.endorsement || !isSignedBy(by.publicKey, endorsementOf(at.publicKey), at.endorsement))
        return false;
      at = by;
    }
    return false;
  }

  return {
    isTrusted(checkpoint: Checkpoint): boolean {
      const publicKey = trusted.get(checkpoint.keyId);
      return publicKey !== undefined && isSignedBy(publicKey, messageOf(checkpoint), checkpoint.signature);
    },
  };
}

export type Trust = ReturnType<typeof createTrust>;

type Statement = Omit<Checkpoint, 'keyId' | 'signature'>;

function statementOf({ tenantId, kind, sequenceNumber, rowHash, atMs }: Statement) {
  return {
    at: isoTime(atMs),
    kind,
    row_hash: rowHash.toString('hex'),
    sequence_number: sequenceNumber,
    tenant: tenantId === '' ? null : tenantId,
  };
}

function messageOf(checkpoint: Statement): Buffer {
  return Buffer.from(`${CHECKPOINT_DOMAIN}\n${canonicalJson(statementOf(checkpoint))}`, 'utf8');
}

function endorsementOf(publicKey: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${ENDORSEMENT_DOMAIN}\n`), publicKey]);
}
