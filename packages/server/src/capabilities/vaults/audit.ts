import type { VaultId } from '../../kernel/ids.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { VaultChanges } from './store.js';

export type VaultAction =
  | 'vault.create'
  | 'vault.update'
  | 'vault.delete'
  | 'vault.rotate'
  | 'vault.tokenize'
  | 'vault.detokenize'
  | 'vault.token.update'
  | 'vault.token.delete';

/** Details never hold a value, and of a token only its row id: a card token shows the card's first and last digits. */
export interface VaultAuditDetails {
  readonly token_id?: string;
  readonly via?: 'api' | 'ephemeral_proxy' | 'route';
  readonly changed?: readonly string[];
  readonly token_format?: string;
  readonly tokens_deleted?: number;
  /** Where nobody asked for it. */
  readonly reason?: 'expired';
  readonly new_version?: number;
}

/** Readers of the audit log know the fields by their names on the wire. */
const WIRE_NAMES: Record<keyof VaultChanges, string> = {
  description: 'description',
  metadata: 'metadata_jsonb',
  enabled: 'enabled',
  echoGuard: 'echo_guard',
  defaultTtlSeconds: 'default_ttl_seconds',
};

export function changedFields(changes: VaultChanges): string[] {
  return (Object.keys(changes) as (keyof VaultChanges)[]).map((name) => WIRE_NAMES[name]);
}

export function vaultEntry(
  action: VaultAction,
  vault: { readonly id: VaultId; readonly name: string },
  details: VaultAuditDetails = {},
): AuditEntry {
  return { action, resourceType: 'vault', resourceId: vault.id, details: { vault: vault.name, ...details } };
}
