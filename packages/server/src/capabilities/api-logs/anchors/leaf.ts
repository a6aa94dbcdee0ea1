import { isoTime } from '../../../kernel/clock.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { LogLeaf } from '../api-log.js';

/** The first twelve members of a row, in their order: fixed for ever (dataplane §10). */
export const LEAF_FIELDS = [
  'id',
  'request_id',
  'tenant_id',
  'route_id',
  'matched_client_id',
  'identification_method',
  'method',
  'status_code',
  'src_ip',
  'environment',
  'sandbox',
  'ts',
] as const;

/** Of leaf and tree together; another form of either gets another name, and this one stays readable. */
export const ALGO = 'sha256-rfc6962-jcs';

/** The values as the API shows them, as a JSON array in the form of RFC 8785, which for these is that of `JSON.stringify`. */
function leafText(log: LogLeaf): string {
  const values = [
    String(log.id),
    log.requestId,
    log.scope.tenantId,
    log.routeId,
    log.matchedClientId,
    log.identificationMethod,
    log.method,
    log.statusCode,
    log.srcIp,
    log.environment,
    log.scope.sandbox,
    isoTime(log.tsMs),
  ];
  return JSON.stringify(values);
}

/** RFC 6962 §2.1: `SHA-256(0x00 || leaf)`. */
export function leafHash(log: LogLeaf): Buffer {
  return sha256(`\0${leafText(log)}`);
}
