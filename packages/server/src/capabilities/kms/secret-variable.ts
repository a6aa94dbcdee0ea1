const PREFIX = 'KNOX_TENANT_KMS_';

/** A variable of this form holds an Azure client secret; one that ends in `_FILE` names the file of another. */
export function isSecretVariable(name: string): boolean {
  return /^KNOX_TENANT_KMS_[A-Z0-9_]{1,100}$/.test(name) && !name.endsWith('_FILE');
}

/**
 * Whether a tenant may name the variable: with one tenant any, with several only those that begin with its own slug; a
 * name that fits several slugs is of the longest (kms-admin.md §1.1).
 */
export function ownsSecretVariable(name: string, slug: string, slugs: readonly string[]): boolean {
  if (!isSecretVariable(name)) return false;
  if (slugs.every((other) => other === slug)) return true;
  const rest = name.slice(PREFIX.length);
  const fits = (one: string) => rest.startsWith(`${one.toUpperCase().replaceAll('-', '_')}_`);
  return fits(slug) && !slugs.some((other) => other.length > slug.length && fits(other));
}
