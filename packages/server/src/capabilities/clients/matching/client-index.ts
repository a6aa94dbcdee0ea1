import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Scope } from '../../../kernel/ids.js';
import { parseIpAddress, unmapIpv4 } from '../../../kernel/ip-address.js';
import type { PresentedCertificate, RequestSource } from '../../../platform/http/request-source.js';
import type { RouteEnvironment } from '../assignments/store.js';
import type { CredentialKind } from '../tables.js';
import { createNetworkIndexBuilder } from './network-index.js';
import type { createMatchingStore, EnabledClient, EnabledCredential } from './store.js';

/** A credential that lets its client in, until it expires. */
export interface Candidate {
  readonly id: string;
  readonly kind: CredentialKind;
  readonly client: EnabledClient;
  readonly expiresAtMs: number | null;
}

/** The enabled credentials of the enabled clients of a tenant and mode. */
export interface ClientIndex {
  /** How much memory it takes, in credentials and assignments. */
  readonly weight: number;
  /** The certificate is looked at first, for it says more; then the address, the longest prefix first, of one the oldest. */
  find(source: RequestSource, among: RouteEnvironment | 'all', nowMs: number): Candidate | undefined;
}

const NOBODY: ReadonlySet<string> = new Set();

export async function loadClientIndex(
  store: ReturnType<typeof createMatchingStore>,
  scope: Scope,
): Promise<ClientIndex> {
  const clients = new Map<string, EnabledClient>();
  const networks = { 4: createNetworkIndexBuilder<Candidate>(4), 6: createNetworkIndexBuilder<Candidate>(6) };
  const thumbprints = new Map<string, Candidate>();
  const assigned = new Map<string, Set<string>>();
  let weight = 1;

  async function read<Row>(windows: AsyncIterable<Row[]>, take: (row: Row) => void): Promise<void> {
    for await (const rows of windows) {
      for (const row of rows) take(row);
      weight += rows.length;
      // What SQLite reads, it reads in the event loop.
      await nextTurn();
    }
  }

  function candidateOf(row: EnabledCredential, kind: CredentialKind): Candidate | undefined {
    const client = clients.get(row.client_id);
    return client && { id: row.id, kind, client, expiresAtMs: row.expires_at };
  }

  await read(store.clients(scope), (client) => clients.set(client.id, client));
  await read(store.networks(scope), (row) => {
    const candidate = candidateOf(row, 'ip');
    if (candidate) networks[row.key.startsWith('4') ? 4 : 6].add(row.key, candidate);
  });
  await read(store.thumbprints(scope), (row) => {
    const candidate = candidateOf(row, 'mtls_thumbprint');
    if (candidate) thumbprints.set(row.key, candidate);
  });
  await read(store.assignments(scope), (row) => {
    const place = placeOf({ routeId: row.route_id, environment: row.environment });
    const clientsThere = assigned.get(place) ?? new Set<string>();
    assigned.set(place, clientsThere.add(row.client_id));
  });
  const built = { 4: networks[4].build(), 6: networks[6].build() };

  return {
    weight,
    find({ certificate, address: addressText }, among, nowMs) {
      const inPlace = among === 'all' ? null : (assigned.get(placeOf(among)) ?? NOBODY);
      const accepts = ({ client, expiresAtMs }: Candidate) =>
        (expiresAtMs === null || nowMs < expiresAtMs) && (inPlace === null || inPlace.has(client.id));
      if (certificate !== null && isInForce(certificate, nowMs)) {
        const candidate = thumbprints.get(certificate.sha256Thumbprint);
        if (candidate && accepts(candidate)) return candidate;
      }
      const parsed = parseIpAddress(addressText);
      const address = parsed && unmapIpv4(parsed);
      return address ? built[address.family].find(address, accepts) : undefined;
    },
  };
}

/** Whoever ended the TLS connection may not have looked (clients-pki.md §2.4). */
function isInForce({ notBeforeMs, notAfterMs }: PresentedCertificate, nowMs: number): boolean {
  return (notBeforeMs === null || notBeforeMs <= nowMs) && (notAfterMs === null || nowMs <= notAfterMs);
}

/** No id has a slash in it. */
function placeOf({ routeId, environment }: RouteEnvironment): string {
  return `${routeId}/${environment}`;
}
