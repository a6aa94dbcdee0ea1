import type { AuditEntry } from '../audit-logs/index.js';
import type { RouteEnvironment } from './assignments/store.js';
import type { Credential } from './credentials/store.js';
import type { Client, ClientTerms } from './store.js';

/** Of many clients a row names the first and counts the rest. */
const NAMED_MAX = 20;

/** Readers of the audit log know the fields by their names on the wire. */
const WIRE_NAMES: Record<keyof ClientTerms, string> = {
  name: 'name',
  type: 'type',
  ipAddress: 'ip_address',
  ipNotes: 'ip_notes',
  description: 'description',
  enabled: 'enabled',
  collectionId: 'collection_id',
  signingSecretId: 'signing_secret_id',
};

export function clientCreateEntry(client: Client): AuditEntry {
  return clientEntry('client.create', client, termsOf(client));
}

/** What was sent, with old and new values (clients-pki.md §6). */
export function clientUpdateEntry(
  before: Client,
  after: Client,
  sent: readonly (keyof ClientTerms)[],
): AuditEntry {
  const isSwitch = sent.length === 1 && sent[0] === 'enabled';
  const action = !isSwitch ? 'client.update' : after.enabled ? 'client.enable' : 'client.disable';
  return clientEntry(action, after, {
    name: after.name,
    old: termsOf(before, sent),
    new: termsOf(after, sent),
  });
}

export function clientDeleteEntry(client: Client, credentials: number, revoked: number): AuditEntry {
  const counts = { credentials_deleted: credentials, certificates_revoked: revoked };
  return clientEntry('client.delete', client, { name: client.name, ip_address: client.ipAddress, ...counts });
}

export function assignmentEntry(
  action: 'client.assign' | 'client.unassign',
  at: RouteEnvironment,
  clientIds: readonly string[],
): AuditEntry {
  return {
    action,
    resourceType: 'client',
    resourceId: clientIds.length === 1 ? clientIds[0]! : null,
    details: {
      route_id: at.routeId,
      environment: at.environment,
      clients_count: clientIds.length,
      client_ids: clientIds.slice(0, NAMED_MAX),
    },
  };
}

/** Who may call by it is part of the row; what `reveal` shows never is. */
export function credentialEntry(
  verb: 'create' | 'update' | 'delete',
  credential: Credential,
  more: Record<string, unknown> = {},
): AuditEntry {
  const { evidence } = credential;
  return {
    action: `client_credential.${verb}`,
    resourceType: 'client_credential',
    resourceId: credential.id,
    details: {
      client_id: credential.clientId,
      kind: evidence.kind,
      label: credential.label,
      enabled: credential.enabled,
      ...(evidence.kind === 'ip'
        ? { value: evidence.value }
        : { sha256_thumbprint: evidence.sha256Thumbprint, ...evidence.issued }),
      ...more,
    },
  };
}

function termsOf(
  client: Client,
  names: readonly (keyof ClientTerms)[] = Object.keys(WIRE_NAMES) as (keyof ClientTerms)[],
): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [WIRE_NAMES[name], client[name]]));
}

function clientEntry(action: string, { id }: Client, details: Record<string, unknown>): AuditEntry {
  return { action, resourceType: 'client', resourceId: id, details };
}
