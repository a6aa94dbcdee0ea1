const PREFIX = 'KNOX_TENANT_KMS_';

/** A variable of this form holds an Azure client secret; one that ends in `_FILE` names the file of another. */
export function isSecretVariable(name: string): boolean {
  return /^KNOX_TENANT_KMS_[A-Z0-9_]{1,100}$/.test(name) && !name.endsWith('_FILE');
}

/** What the variables of that tenant begin with. */
export function secretVariablesOf(slug: string): string {
  return `${PREFIX}${slug.toUpperCase().replaceAll('-', '_')}_`;
}

/** The slugs that the variable could be of, the longest first: `…_ACME_EU_SECRET` of `acme-eu` and of `acme`. */
export function slugsOfSecretVariable(name: string): string[] {
  const parts = name.slice(PREFIX.length).toLowerCase().split('_').slice(0, -1);
  return parts.map((_part, index) => parts.slice(0, parts.length - index).join('-'));
}

/**
 * Whether a tenant may name the variable where there are several: one that begins with its own slug, and of several
 * slugs that fit it is of the longest (kms-admin.md §1.1). `slugs` are those of `slugsOfSecretVariable` that are taken: the
 * variable of a tenant that is gone, or has another name, stays set for a while and is nobody else's.
 */
export function ownsSecretVariable(name: string, slug: string, slugs: readonly string[]): boolean {
  const longest = slugsOfSecretVariable(name).find((one) => slugs.includes(one));
  return isSecretVariable(name) && longest === slug;
}
