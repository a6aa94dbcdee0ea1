import type { Credential, Evidence } from '../capabilities/clients/credentials/store.js';
import type { Client } from '../capabilities/clients/store.js';
import type { Scope } from '../kernel/ids.js';

/** A client of no address, as its store keeps it. */
export function clientRow(scope: Scope, id: string, more: Partial<Client> = {}): Client {
  return {
    id,
    scope,
    name: 'client',
    type: 'server',
    ipAddress: '',
    ipNotes: {},
    description: null,
    enabled: true,
    collectionId: null,
    signingSecretId: null,
    createdBy: null,
    createdAtMs: 0,
    updatedAtMs: 0,
    ...more,
  };
}

export function credentialRow(
  client: Client,
  id: string,
  evidence: Evidence,
  more: Partial<Credential> = {},
): Credential {
  return {
    id,
    scope: client.scope,
    clientId: client.id,
    evidence,
    label: null,
    isOwn: false,
    enabled: true,
    expiresAtMs: null,
    lastMatchedAtMs: null,
    createdAtMs: 0,
    updatedAtMs: 0,
    ...more,
  };
}
