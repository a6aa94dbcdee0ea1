import type { ColumnType } from 'kysely';
import type { InvitationId, SessionId, TenantId, UserId } from '../../kernel/ids.js';
import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { accountsMigration } from './migrations/0001-accounts.js';
import { sessionsMigration } from './migrations/0019-sessions.js';
import { signingKeysMigration } from './migrations/0020-signing-keys.js';
import { factorsMigration } from './migrations/0040-factors.js';
import { teamsMigration } from './migrations/0041-teams.js';
import { tenantOriginMigration } from './migrations/0045-tenant-origin.js';
import type { Region } from './types.js';

interface TenantsTable {
  id: TenantId;
  slug: string;
  name: string;
  plan: string;
  subscription_status: string;
  /** 0 or 1 overrides the plan; null = by plan (dataplane.md §1.6). */
  ephemeral_enabled: number | null;
  region: Region | null;
  /** ISO 3166-1 alpha-2. */
  country: string | null;
  created_at: number;
  updated_at: number;
  /** Set once it is deleted: nothing finds it any more, and its rows are being removed. */
  deleted_at: ColumnType<number | null, number | null | undefined, number | null>;
}

/** A name that was a tenant's lately: who still calls it must not reach another one. */
interface KeptSlugsTable {
  slug: string;
  holder_id: TenantId;
  kept_until: number;
}

interface InvitationsTable extends TenantColumns {
  id: InvitationId;
  email: string;
  email_folded: string;
  role: string;
  token_hash: Buffer;
  invited_by: UserId;
  created_at: number;
  sent_at: number;
  expires_at: number;
}

interface MagicLinksTable {
  token_hash: Buffer;
  /** Null where the address has no account: it is asked for at the same cost, and mailed to nobody. */
  user_id: UserId | null;
  created_at: number;
  expires_at: number;
}

interface UsersTable {
  id: UserId;
  email: string;
  /** What addresses are compared by. */
  email_folded: string;
  password_hash: string;
  full_name: string | null;
  created_at: number;
}

interface MembershipsTable extends TenantColumns {
  user_id: UserId;
  role: string;
  created_at: number;
}

interface SessionsTable {
  id: SessionId;
  user_id: UserId;
  /** JSON text, the ways in which the user has proven itself (RFC 8176). */
  amr: string;
  ip_address: string | null;
  user_agent: string | null;
  /** When the user signed in: `auth_time` of its tokens. */
  created_at: number;
  last_used_at: number;
  idle_expires_at: number;
  expires_at: number;
  refreshes: number;
  revoked_at: number | null;
}

/** Those that were used stay until the session goes, so that a second use is seen. */
interface RefreshTokensTable {
  token_hash: Buffer;
  session_id: SessionId;
  issued_at: number;
  used_at: number | null;
}

/** What is counted for a while: sign-ins, links, mails of who invites, tenants that a user makes. */
interface SignInAttemptsTable {
  /** SHA-256 of account and address, or of the address alone: no name of a person is kept for a mistyped one. */
  subject_hash: Buffer;
  attempts: number;
  expires_at: number;
}

interface SigningKeysTable {
  purpose: string;
  wrapped_key: Buffer;
  created_at: number;
}

interface StepUpTokensTable {
  token_hash: Buffer;
  user_id: UserId;
  session_id: SessionId;
  /** Null where none was chosen. */
  tenant_id: TenantId | null;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}

interface TotpFactorsTable {
  user_id: UserId;
  /** Under a key derived from the root key. */
  wrapped_secret: Buffer;
  created_at: number;
  /** Null until a first code has shown that the user has it. */
  confirmed_at: number | null;
  /** The step of the last code that was taken; it and those before it are not taken again. */
  last_step: number;
}

/** Those that are left. */
interface RecoveryCodesTable {
  user_id: UserId;
  code_hash: Buffer;
  created_at: number;
}

interface PasskeysTable {
  id: string;
  user_id: UserId;
  /** Base64url, as it is on the wire. */
  credential_id: string;
  /** COSE. */
  public_key: Buffer;
  counter: number;
  /** JSON text. */
  transports: string;
  /** 1 = the key may be on several devices. */
  synced: number;
  name: string;
  created_at: number;
  last_used_at: number | null;
}

/** The first factor was right; another is due. */
interface PendingSignInsTable {
  token_hash: Buffer;
  user_id: UserId;
  /** JSON text, of the first factor. */
  amr: string;
  /** 1 = for a session that nothing renews. */
  brief: number;
  created_at: number;
  expires_at: number;
}

/** The challenges themselves are kept nowhere. */
interface UsedChallengesTable {
  challenge_hash: Buffer;
  expires_at: number;
}

export interface AccountsTables {
  tenants: TenantsTable;
  users: UsersTable;
  kept_slugs: KeptSlugsTable;
  memberships: MembershipsTable;
  invitations: InvitationsTable;
  magic_links: MagicLinksTable;
  sessions: SessionsTable;
  refresh_tokens: RefreshTokensTable;
  sign_in_attempts: SignInAttemptsTable;
  signing_keys: SigningKeysTable;
  step_up_tokens: StepUpTokensTable;
  totp_factors: TotpFactorsTable;
  recovery_codes: RecoveryCodesTable;
  passkeys: PasskeysTable;
  pending_sign_ins: PendingSignInsTable;
  used_challenges: UsedChallengesTable;
}

export const accountsTables: TableSet<AccountsTables> = {
  tenants: { scope: 'system' },
  users: { scope: 'system' },
  kept_slugs: { scope: 'system' },
  memberships: { scope: 'tenant' },
  invitations: { scope: 'tenant' },
  magic_links: { scope: 'system' },
  sessions: { scope: 'system' },
  refresh_tokens: { scope: 'system' },
  sign_in_attempts: { scope: 'system' },
  signing_keys: { scope: 'system' },
  step_up_tokens: { scope: 'system' },
  totp_factors: { scope: 'system' },
  recovery_codes: { scope: 'system' },
  passkeys: { scope: 'system' },
  pending_sign_ins: { scope: 'system' },
  used_challenges: { scope: 'system' },
};

export const migrations: readonly Migration[] = [
  accountsMigration,
  sessionsMigration,
  signingKeysMigration,
  factorsMigration,
  tenantOriginMigration,
  teamsMigration,
];
