import type { CryptoKeyId, TenantId } from '../../kernel/ids.js';
import type { Random } from '../../platform/crypto/random.js';
import { openBox, publicPointOf, type SealedBox, sealBox } from '../../platform/crypto/sealed-box.js';

/** Text, number, boolean, JSON, bytes (clients-pki.md §5). */
export type PortableDatatype = 's' | 'n' | 'b' | 'j' | 'x';

export interface PortableKeyRef {
  readonly tenantId: TenantId;
  readonly keyId: CryptoKeyId;
  readonly version: number;
}

/** A `kc:` text taken apart; nothing in it is proven before it is opened. */
export interface Portable extends SealedBox {
  readonly datatype: PortableDatatype;
  readonly keyRef: PortableKeyRef;
}

export const PORTABLE_PREFIX = 'kc:1:';
/** What stands before the ciphertext, which may be megabytes: no expression looks at that. */
const HEADER = /^(kc:1:([snbjx]):([A-Za-z0-9_-]{1,128}):([A-Za-z0-9_-]{87}):([A-Za-z0-9_-]{16})):/;
const END = ':$';
/** 16 bytes of the tag. */
const SEALED_CHARACTERS_MIN = 22;
const KEY_REF = /^([0-9a-f-]{36}):([0-9a-f-]{36}):([1-9][0-9]{0,8})$/;

/** Null where the whole text is not of this form: then it is no ciphertext of ours. */
export function parsePortable(text: string): Portable | null {
  if (!text.startsWith(PORTABLE_PREFIX) || !text.endsWith(END)) return null;
  const form = HEADER.exec(text);
  if (form === null) return null;
  const [whole, header = '', datatype, ref = '', ephemeral = '', iv = ''] = form;
  const sealed = text.slice(whole.length, -END.length);
  const keyRef = KEY_REF.exec(Buffer.from(ref, 'base64url').toString('latin1'));
  if (keyRef === null || sealed.length < SEALED_CHARACTERS_MIN) return null;
  const bytes = Buffer.from(sealed, 'base64url');
  // One text for one ciphertext: the last character has bits that stand for nothing, and the reader skips what is no base64url.
  if (bytes.toString('base64url') !== sealed) return null;
  return {
    datatype: datatype as PortableDatatype,
    keyRef: {
      tenantId: keyRef[1] as TenantId,
      keyId: keyRef[2] as CryptoKeyId,
      version: Number(keyRef[3]),
    },
    header,
    ephemeral: Buffer.from(ephemeral, 'base64url'),
    iv: Buffer.from(iv, 'base64url'),
    sealed: bytes,
  };
}

export interface SealInput {
  readonly keyRef: PortableKeyRef;
  readonly datatype: PortableDatatype;
  readonly plaintext: Uint8Array;
  /** Bound through the key: with another one it does not open. */
  readonly role: string;
}

/** Under the public half of the key; `privateKey` is lent and not kept. */
export function sealPortable(random: Random, privateKey: Buffer, input: SealInput): string {
  return sealPortableTo(random, publicPointOf(privateKey), input);
}

/** The same by who has the public half alone, an uncompressed point. */
export function sealPortableTo(random: Random, recipient: Buffer, input: SealInput): string {
  const { tenantId, keyId, version } = input.keyRef;
  const ref = Buffer.from(`${tenantId}:${keyId}:${version}`).toString('base64url');
  const headerOf = (ephemeral: Buffer, iv: Buffer) =>
    `${PORTABLE_PREFIX}${input.datatype}:${ref}:${ephemeral.toString('base64url')}:${iv.toString('base64url')}`;
  const { header, sealed } = sealBox(random, recipient, headerOf, input.role, input.plaintext);
  return `${header}:${sealed.toString('base64url')}:$`;
}

/** Throws `DecryptionRefused` whatever is wrong with it. */
export function openPortable(privateKey: Buffer, portable: Portable, role: string): Buffer {
  return openBox(privateKey, portable, role);
}
