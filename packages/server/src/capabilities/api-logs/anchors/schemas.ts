import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { instantText } from '../../../platform/http/pagination.js';
import { ALGO, LEAF_FIELDS } from './leaf.js';
import { PROOF_REASONS, type Proof } from './proof.js';

const hashText = z
  .string()
  .meta({ examples: ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'] })
  .describe('SHA-256, 64 hexadecimal digits.');

const IDENTITY_ONLY = 'With `log:read_identity` only: addresses could be guessed from it.';

export const proofResponse = z
  .object({
    anchored: z.boolean().describe('A range with this row is in the critical audit chain.'),
    verified: z.boolean().optional().describe('Absent where there is no anchor.'),
    reason: z.enum(PROOF_REASONS).optional().describe('Absent where it is verified.'),
    detail: z.string(),
    observed_leaf_count: z.number().int().optional().describe('Rows that the range has now.'),
    recomputed_root: hashText.optional().describe(`Of these rows. ${IDENTITY_ONLY}`),
    anchor: z
      .object({
        id: z.string(),
        sequence_number: z.string().describe('Place in the critical audit chain, as text.'),
        anchored_at: instantText,
        algo: z.string(),
        merkle_root: hashText.optional().describe(IDENTITY_ONLY),
        leaf_count: z.number().int(),
        from_id: z.string().describe('First `id` of the range.'),
        to_id: z.string().describe('Last `id` of the range.'),
        chain_row_hash: hashText.describe('Of the row in the critical audit chain.'),
      })
      .optional(),
    leaf_index: z.number().int().optional().describe('Of the row among those of the range, from 0.'),
    leaf_hash: hashText.optional().describe(IDENTITY_ONLY),
    proof: z
      .array(
        z.object({
          hash: hashText,
          right: z
            .boolean()
            .describe('True: SHA-256(0x01 || accumulator || hash); false: the other way round.'),
        }),
      )
      .optional()
      .describe(`From the leaf to the root; only where \`verified\` is true. ${IDENTITY_ONLY}`),
    verification: z.object({
      algo: z.string(),
      leaf_fields: z.array(z.string()).describe('Members of the row, in the order of the leaf.'),
      note: z.string(),
    }),
  })
  .meta({ id: 'LogProof' });

const NOTE =
  'leaf_hash = SHA-256(0x00 || text), text being the JSON array, without spaces, of the row’s leaf_fields in this order, in UTF-8 ' +
  '(RFC 8785). From leaf_hash, each step of proof makes the next accumulator: SHA-256(0x01 || left || right), where right: true puts ' +
  'the step’s hash on the right. The last one is anchor.merkle_root (RFC 6962 §2.1).';

const hex = (bytes: Buffer | undefined) => bytes?.toString('hex');

/** What a hash over few unknown digits tells belongs to the identity tier, as the digits do: absent without the grant. */
export function toProofResponse(proof: Proof, withIdentity: boolean): z.input<typeof proofResponse> {
  const { anchor } = proof;
  return {
    anchored: proof.anchored,
    verified: proof.verified,
    reason: proof.reason,
    detail: proof.detail,
    observed_leaf_count: proof.observedLeafCount,
    ...(withIdentity && { recomputed_root: hex(proof.recomputedRoot) }),
    anchor: anchor && {
      id: anchor.id,
      sequence_number: String(anchor.sequenceNumber),
      anchored_at: isoTime(anchor.anchoredAtMs),
      algo: anchor.algo,
      ...(withIdentity && { merkle_root: hex(anchor.merkleRoot) }),
      leaf_count: anchor.leafCount,
      from_id: String(anchor.fromId),
      to_id: String(anchor.toId),
      chain_row_hash: anchor.chainRowHash.toString('hex'),
    },
    leaf_index: proof.leafIndex,
    ...(withIdentity && {
      leaf_hash: hex(proof.leafHash),
      proof: proof.proof?.map(({ hash, right }) => ({ hash: hash.toString('hex'), right })),
    }),
    verification: { algo: ALGO, leaf_fields: [...LEAF_FIELDS], note: NOTE },
  };
}
