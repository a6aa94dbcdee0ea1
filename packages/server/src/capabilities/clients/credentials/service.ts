import type { Clock } from '../../../kernel/clock.js';
import { type IdSource, isUuid, type Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { ScopeCache } from '../../../platform/cache/scope-cache.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { ClientCa, PreparedCertificate } from '../../client-ca/index.js';
import { credentialEntry } from '../audit.js';
import { credentialNotFound, ownAddressIsOn, tooManyCredentials } from '../errors.js';
import type { Client, ClientStore } from '../store.js';
import { revokeIssued } from './revocation.js';
import type { Credential, CredentialStore, Evidence } from './store.js';

export interface NewCredential {
  /** `issue`: a certificate that is made for it. */
  readonly evidence: Evidence | 'issue';
  readonly label: string | null;
}

export interface CredentialChanges {
  readonly enabled?: boolean;
  readonly label?: string | null;
}

/** Shown by the answer that made the certificate, and by nothing after it. */
export interface Reveal {
  readonly certificatePem: string;
  readonly privateKeyPem: Secret<string>;
  readonly caChainPem: string;
}

export interface MadeCredential {
  readonly credential: Credential;
  /** Null where nothing was issued. */
  readonly reveal: Reveal | null;
}

/** By what a client is known. An id of another client is 404, as one that nobody has. */
export interface Credentials {
  /** The oldest first. */
  list(caller: Caller, clientId: string): Promise<Credential[]>;
  /** 409 where the client has 100, or somebody has the same. To issue may ask a KMS; 503 `tenant_sealed`. */
  create(caller: Caller, clientId: string, input: NewCredential): Promise<MadeCredential>;
  /** 409 where it would switch off the client's own address. */
  update(caller: Caller, clientId: string, id: string, changes: CredentialChanges): Promise<Credential>;
  /** Revokes what was issued; that of the client's own address empties `ip_address`. */
  delete(caller: Caller, clientId: string, id: string): Promise<void>;
}

export interface CredentialsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** 404 where there is none. */
  findClient(scope: Scope, id: string, tx?: Transaction): Promise<Client>;
  readonly clients: Pick<ClientStore, 'update'>;
  readonly store: CredentialStore;
  readonly indexes: Pick<ScopeCache<unknown>, 'changed'>;
  readonly clientCa: ClientCa;
}

export function createCredentials(deps: CredentialsDeps): Credentials {
  const { db, clock, ids, auditLogs, findClient, clients, store, indexes, clientCa } = deps;

  async function find(tx: Transaction, scope: Scope, clientId: string, id: string): Promise<Credential> {
    const client = await findClient(scope, clientId, tx);
    const credential = isUuid(id) ? await store.find(tx, scope, client.id, id.toLowerCase()) : undefined;
    if (!credential) throw credentialNotFound();
    return credential;
  }

  async function requireRoom(scope: Scope, clientId: string, tx?: Transaction): Promise<void> {
    const credentials = await store.list(scope, clientId, tx);
    if (credentials.length >= LIMITS.clientCredentialsMax) throw tooManyCredentials();
  }

  /** Before the transaction: it draws a key, and may ask a KMS. */
  async function prepare(scope: Scope, clientId: string): Promise<PreparedCertificate> {
    const client = await findClient(scope, clientId);
    await requireRoom(scope, client.id);
    return clientCa.prepare(scope, client);
  }

  return {
    async list(caller, clientId) {
      const { scope } = caller.principal;
      return store.list(scope, (await findClient(scope, clientId)).id);
    },

    async create(caller, clientId, { evidence: asked, label }) {
      const { scope } = caller.principal;
      const certificate = asked === 'issue' ? await prepare(scope, clientId) : null;
      return db.transaction(async (tx) => {
        const client = await findClient(scope, clientId, tx);
        await indexes.changed(tx, scope);
        await requireRoom(scope, client.id, tx);
        const nowMs = clock.nowMs();
        const credential: Credential = {
          id: ids.uuid(),
          scope,
          clientId: client.id,
          evidence: asked === 'issue' ? evidenceOf(certificate!) : asked,
          label,
          isOwn: false,
          enabled: true,
          expiresAtMs: certificate?.notAfterMs ?? null,
          lastMatchedAtMs: null,
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
        };
        await certificate?.record(tx);
        await store.insert(tx, credential);
        await auditLogs.record(tx, actorOf(caller), credentialEntry('create', credential));
        const made: MadeCredential = { credential, reveal: certificate };
        await recordAnswer(tx, caller, made);
        return made;
      });
    },

    update(caller, clientId, id, changes) {
      const { scope } = caller.principal;
      return db.transaction(async (tx) => {
        const before = await find(tx, scope, clientId, id);
        if (before.isOwn && changes.enabled === false) throw ownAddressIsOn();
        const after: Credential = { ...before, ...changes, updatedAtMs: clock.nowMs() };
        await store.update(tx, after);
        if (after.enabled !== before.enabled) await indexes.changed(tx, scope);
        const { enabled, label } = before;
        const entry = credentialEntry('update', after, { old: { enabled, label } });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, after);
        return after;
      });
    },

    async delete(caller, clientId, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const credential = await find(tx, scope, clientId, id);
        await indexes.changed(tx, scope);
        await store.delete(tx, scope, credential.id);
        if (credential.isOwn) {
          const client = await findClient(scope, clientId, tx);
          await clients.update(tx, { ...client, ipAddress: '', updatedAtMs: clock.nowMs() });
        }
        const revoked = await revokeIssued(clientCa, tx, scope, [credential], 'unspecified');
        const entry = credentialEntry('delete', credential, { certificates_revoked: revoked });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, undefined);
      });
    },
  };
}

function evidenceOf({ sha256Thumbprint, subject, serial }: PreparedCertificate): Evidence {
  return { kind: 'mtls_thumbprint', sha256Thumbprint, issued: { subject, serial } };
}
