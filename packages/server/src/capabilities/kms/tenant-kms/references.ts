import type { CloudKey } from '../cloud-key.js';

/** By what a key and the identity that uses it are told from those of other tenants: however they are written. */
export interface ForeignNames {
  readonly keyName: string;
  /**
   * The role or service account; at Azure the variable of the application's secret, or the vault that lets the server in
   * as itself. Null, the operator's only: the server's own identity at AWS or Google.
   */
  readonly identityName: string | null;
}

export function namesOf(key: CloudKey): ForeignNames {
  return { keyName: keyNameOf(key), identityName: identityNameOf(key) };
}

function keyNameOf({ provider, keyRef }: CloudKey): string {
  // Vaults and their keys have no case, and each version is of one key.
  return provider === 'azure' ? keyRef.toLowerCase().replace(/\/[0-9a-f]{32}$/, '') : keyRef;
}

function identityNameOf(key: CloudKey): string | null {
  switch (key.provider) {
    case 'aws':
      return key.config.roleArn?.toLowerCase() ?? null;
    case 'gcp':
      return key.config.serviceAccount?.toLowerCase() ?? null;
    case 'azure':
      return key.config.application?.secretVariable ?? new URL(key.keyRef).host;
  }
}

/**
 * What AWS is told beside the role, where the tenant names nothing else: a role that asks for it is used for this tenant
 * alone (kms-admin.md §1.1). Not a secret; nobody else may name it here.
 */
export function ownExternalId(tenantId: string): string {
  return `knoxcall-${tenantId}`;
}

export function isExternalIdOfAnother(externalId: string, tenantId: string): boolean {
  const isOwnForm = /^knoxcall-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(externalId);
  return isOwnForm && externalId !== ownExternalId(tenantId);
}
