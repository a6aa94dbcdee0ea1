import { webcrypto } from 'node:crypto';

/** A bundle as the API gives it. */
export interface Bundle {
  readonly public_key_raw: string;
  readonly key_ref: { readonly tenant_id: string; readonly app_key_id: string; readonly key_version: number };
}

/** What a test fixes; else drawn. */
export interface Drawn {
  readonly ephemeral?: webcrypto.CryptoKeyPair;
  readonly iv?: Uint8Array<ArrayBuffer>;
}

const { subtle } = webcrypto;
const P256 = { name: 'ECDH', namedCurve: 'P-256' } as const;
const utf8 = new TextEncoder();

/** Written from docs/portable-encryption.md with WebCrypto alone, as a page in a browser does it. */
export async function sealByWebCrypto(
  { public_key_raw, key_ref }: Bundle,
  datatype: string,
  plaintext: Uint8Array<ArrayBuffer>,
  role = '',
  drawn: Drawn = {},
): Promise<string> {
  const recipient = await subtle.importKey('raw', fromBase64Url(public_key_raw), P256, false, []);
  const pair = drawn.ephemeral ?? (await subtle.generateKey(P256, true, ['deriveBits']));
  const ephemeral = new Uint8Array(await subtle.exportKey('raw', pair.publicKey));
  const iv = drawn.iv ?? webcrypto.getRandomValues(new Uint8Array(12));
  const ref = `${key_ref.tenant_id}:${key_ref.app_key_id}:${key_ref.key_version}`;
  const header = `kc:1:${datatype}:${base64Url(utf8.encode(ref))}:${base64Url(ephemeral)}:${base64Url(iv)}`;
  const shared = await subtle.deriveBits({ name: 'ECDH', public: recipient }, pair.privateKey, 256);
  const key = await subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: ephemeral, info: utf8.encode(`${header}\0role=${role}`) },
    await subtle.importKey('raw', shared, 'HKDF', false, ['deriveKey']),
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt'],
  );
  const sealed = await subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: utf8.encode(header) },
    key,
    plaintext,
  );
  return `${header}:${base64Url(new Uint8Array(sealed))}:$`;
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
}
