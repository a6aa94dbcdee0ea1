import { KEY_PAIR_KINDS, type KeyPairKind } from '../../platform/crypto/key-pairs.js';

/** Of what signs certificates, and of the keys that are made for them (clients-pki.md §3.6). */
export type KeyAlgorithm = Exclude<KeyPairKind, 'ed25519'>;

export const KEY_ALGORITHMS = KEY_PAIR_KINDS.filter((kind): kind is KeyAlgorithm => kind !== 'ed25519');
