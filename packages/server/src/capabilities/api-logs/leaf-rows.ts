import type { ExpressionBuilder } from 'kysely';
import type { RequestId, Scope } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import type { LogLeaf } from './api-log.js';
import type { ApiLogRow, ApiLogTables } from './tables.js';

/** What a leaf is made of and its scope does not tell, in the order in which `unpacked` takes it. */
const COLUMNS = [
  'id',
  'request_id',
  'route_id',
  'matched_client_id',
  'identification_method',
  'method',
  'status_code',
  'src_ip',
  'environment',
  'ts',
] as const satisfies readonly (keyof ApiLogRow)[];

type Packed = [
  id: number,
  requestId: string,
  routeId: string | null,
  matchedClientId: string | null,
  identificationMethod: string | null,
  method: string,
  statusCode: number,
  srcIp: string | null,
  environment: string | null,
  tsMs: number,
];

/** As one text: members of a million rows, each passed from thread to thread by itself, cost more than their hashes. */
export function packedLeaf(dialect: Database['dialect']) {
  return (q: ExpressionBuilder<ApiLogTables, 'api_logs'>) =>
    (dialect === 'sqlite'
      ? q.fn<string>('json_array', [...COLUMNS])
      : q.cast<string>(q.fn('json_build_array', [...COLUMNS]), 'text')
    ).as('leaf');
}

export function unpacked(scope: Scope, leaf: string): LogLeaf {
  const [
    id,
    requestId,
    routeId,
    matchedClientId,
    identificationMethod,
    method,
    statusCode,
    srcIp,
    environment,
    tsMs,
  ] = JSON.parse(leaf) as Packed;
  return {
    id,
    requestId: requestId as RequestId,
    scope,
    routeId,
    matchedClientId,
    identificationMethod,
    method,
    statusCode,
    srcIp,
    environment,
    tsMs,
  };
}
