import { modeOf, type Scope, type TokenId, type VaultId } from '../../../kernel/ids.js';
import type { DataContext } from '../../../platform/crypto/data-cipher.js';

/** dataplane.md §6.3: bound to tenant, mode, vault and row. */
export function contextOf(scope: Scope, vault: { readonly id: VaultId }, rowId: TokenId): DataContext {
  return { purpose: 'vault-token', rowId, parts: [scope.tenantId, modeOf(scope), vault.id, rowId] };
}
