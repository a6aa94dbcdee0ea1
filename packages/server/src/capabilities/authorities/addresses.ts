import type { TenantId } from '../../kernel/ids.js';
import type { StatusUrls } from '../x509/index.js';

/**
 * Where anybody reads what an authority has revoked (clients-pki.md §3.4, §3.6). Null without `KNOX_PUBLIC_URL`: an address that
 * is guessed would stand in certificates for years.
 */
export function statusUrlsOf(
  publicUrl: string | null,
  tenantId: TenantId,
  authority: { readonly rootId: string; readonly keyId: string },
): StatusUrls | null {
  if (publicUrl === null) return null;
  const url = `${new URL(publicUrl).origin}/pki/${tenantId}/${authority.rootId}/${authority.keyId}`;
  return { crl: `${url}.crl`, ocsp: `${url}/ocsp` };
}
