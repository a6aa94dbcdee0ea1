import type { Scope } from '../../../kernel/ids.js';
import type { Database, DefinedQuery } from '../../../platform/storage/database.js';
import { clientTables } from '../tables.js';

/** Of a client that is enabled. */
export interface EnabledClient {
  readonly id: string;
  readonly name: string;
  readonly signing_secret_id: string | null;
}

export interface EnabledCredential {
  readonly id: string;
  readonly client_id: string;
  /** `Network.key` or thumbprint, as it is asked for. */
  readonly key: string;
  readonly expires_at: number | null;
}

export interface AssignedClient {
  readonly route_id: string;
  readonly environment: string;
  readonly client_id: string;
}

/** Rows of one read: in between, others have their turn (docs/decisions/0058). */
export const WINDOW_ROWS = 2_000;

/**
 * All that the matcher knows of a tenant and mode, in windows, each in the order of what it continues behind. Every text
 * is greater than the empty one, behind which each begins.
 */
export function createMatchingStore(db: Database) {
  const view = db.view(clientTables);

  const clients = view.define<{ id: string }, EnabledClient>('clients_enabled', (queries, arg) =>
    queries
      .selectFrom('clients')
      .select(['id', 'name', 'signing_secret_id'])
      .where('enabled', '=', 1)
      .where('id', '>', arg('id'))
      .orderBy('id')
      .limit(WINDOW_ROWS),
  );
  const networks = view.define<{ key: string; id: string }, EnabledCredential>(
    'client_networks_enabled',
    (queries, arg) =>
      queries
        .selectFrom('client_credentials')
        .select(['id', 'client_id', 'network as key', 'expires_at'])
        .where('enabled', '=', 1)
        // Both say so: by the first the index is entered.
        .where('network', '>=', arg('key'))
        .where((where) => where.or([where('network', '>', arg('key')), where('id', '>', arg('id'))]))
        .orderBy('network')
        .orderBy('id')
        .limit(WINDOW_ROWS)
        .$narrowType<{ key: string }>(),
  );
  const thumbprints = view.define<{ key: string }, EnabledCredential>(
    'client_thumbprints_enabled',
    (queries, arg) =>
      queries
        .selectFrom('client_credentials')
        .select(['id', 'client_id', 'thumbprint as key', 'expires_at'])
        .where('enabled', '=', 1)
        .where('thumbprint', '>', arg('key'))
        .orderBy('thumbprint')
        .limit(WINDOW_ROWS)
        .$narrowType<{ key: string }>(),
  );
  const assignments = view.define<{ routeId: string; environment: string; clientId: string }, AssignedClient>(
    'client_assignments_all',
    (queries, arg) =>
      queries
        .selectFrom('client_assignments')
        .select(['route_id', 'environment', 'client_id'])
        .where('route_id', '>=', arg('routeId'))
        .where((where) =>
          where.or([
            where('route_id', '>', arg('routeId')),
            where('environment', '>', arg('environment')),
            where.and([
              where('environment', '=', arg('environment')),
              where('client_id', '>', arg('clientId')),
            ]),
          ]),
        )
        .orderBy('route_id')
        .orderBy('environment')
        .orderBy('client_id')
        .limit(WINDOW_ROWS),
  );

  async function* windows<Args extends Record<string, string>, Row>(
    query: DefinedQuery<Scope, Args, Row>,
    scope: Scope,
    first: Args,
    behind: (row: Row) => Args,
  ): AsyncGenerator<Row[]> {
    for (let after = first; ; ) {
      const rows = await query.all(scope, after);
      yield rows;
      if (rows.length < WINDOW_ROWS) return;
      after = behind(rows.at(-1)!);
    }
  }

  return {
    clients: (scope: Scope) => windows(clients, scope, { id: '' }, ({ id }) => ({ id })),
    /** By network, the oldest credential of one first: ids are in the order of time. */
    networks: (scope: Scope) => windows(networks, scope, { key: '', id: '' }, ({ key, id }) => ({ key, id })),
    thumbprints: (scope: Scope) => windows(thumbprints, scope, { key: '' }, ({ key }) => ({ key })),
    assignments: (scope: Scope) =>
      windows(assignments, scope, { routeId: '', environment: '', clientId: '' }, (row) => ({
        routeId: row.route_id,
        environment: row.environment,
        clientId: row.client_id,
      })),
  };
}
