/** Bytes under a version of a key: a ciphertext or a signature (clients-pki.md §4.3). */
export interface Versioned {
  readonly version: number;
  readonly bytes: Buffer;
}

/** The second is that of Vault's transit engine, for who comes from there. */
const PREFIX = /^(?:knoxcall|vault):v([1-9][0-9]{0,8}):/;

/** Null where the text is not of this form, or its bytes are no base64. */
export function parseVersioned(text: string): Versioned | null {
  const prefix = PREFIX.exec(text);
  if (prefix === null) return null;
  const bytes = decodeBase64(text.slice(prefix[0].length));
  return bytes && { version: Number(prefix[1]), bytes };
}

export function writeVersioned(version: number, bytes: Buffer): string {
  return `knoxcall:v${version}:${bytes.toString('base64')}`;
}

/**
 * Base64 in the standard or the URL-safe alphabet, padded or not (RFC 4648 §4, §5); null for any other text, and for one whose
 * last character has bits that stand for nothing. `Buffer.from` alone takes whatever it is given.
 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') === text) return bytes;
  const bare = text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  const isBytes = bytes.toString('base64url') === bare || withoutPadding(bytes) === bare;
  return isBytes ? bytes : null;
}

function withoutPadding(bytes: Buffer): string {
  const text = bytes.toString('base64');
  return text.slice(0, Math.ceil((bytes.length * 4) / 3));
}
