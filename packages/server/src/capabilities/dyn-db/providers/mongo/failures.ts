import { BSON, MongoCompatibilityError, MongoParseError, MongoRuntimeError, MongoServerError } from 'mongodb';
import { type AppError, isAppError } from '../../../../kernel/errors.js';
import { databaseError, targetUnavailable } from '../../errors.js';

export const CODES = {
  userNotFound: 11,
  unauthorized: 13,
  authenticationFailed: 18,
  roleNotFound: 31,
  commandNotFound: 59,
  writeConcernTimeout: 64,
  commandNotSupported: 115,
  notImplemented: 238,
  maxTimeExpired: 50,
  userExists: 51_003,
  /** Of hosted MongoDB, for commands that a small plan has not. */
  atlas: 8_000,
} as const;

/** Our own words: a server may quote in its own whatever it was sent, passwords too. */
const TEXTS: Record<number, string> = {
  [CODES.userNotFound]: 'there is no such user',
  [CODES.unauthorized]: 'the admin may not do this',
  [CODES.authenticationFailed]: 'the log-in was refused; user name, password or authSource is wrong',
  [CODES.roleNotFound]: 'a role that creation_sql names does not exist',
  10107: 'it is not the primary of its replica set; connect_options.replicaSet leads to the primary',
  13435: 'it is not the primary of its replica set; connect_options.replicaSet leads to the primary',
};
const AWAY = new Set<unknown>([CODES.writeConcernTimeout, CODES.maxTimeExpired, 91, 189, 11_600, 11_602]);

/** Whether the server itself refused, other than by ending the connection. */
export function isAnswer(error: unknown): boolean {
  return error instanceof MongoServerError;
}

export function hasCode(error: unknown, ...codes: readonly number[]): boolean {
  return error instanceof MongoServerError && codes.includes(Number(error.code));
}

/** What an error of the driver comes to; its own message and cause may hold what was sent, and go no further. */
export function failureOf(error: unknown): AppError {
  if (isAppError(error)) return error;
  if (error instanceof MongoServerError) return refusal(error);
  const tls = tlsReason(error);
  if (tls) return databaseError('TLS', `no trusted TLS connection: ${tls}`);
  if (
    error instanceof MongoParseError ||
    error instanceof MongoCompatibilityError ||
    error instanceof MongoRuntimeError ||
    error instanceof BSON.BSONError ||
    error instanceof RangeError
  )
    return databaseError(
      'protocol',
      'it does not speak the MongoDB protocol as a server of 4.2 or later does',
    );
  return targetUnavailable(detailOf(error));
}

function refusal(error: MongoServerError): AppError {
  const code = Number(error.code);
  if (AWAY.has(code)) return targetUnavailable(`code ${code}`);
  const name = /^\w{1,64}$/.test(String(error.codeName)) ? String(error.codeName) : 'no name';
  return databaseError(Number.isInteger(code) ? String(code) : 'no code', TEXTS[code] ?? name);
}

const CERTIFICATE_REASONS: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not yet valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

function tlsReason(error: unknown): string | null {
  for (const { code, message } of causesOf(error)) {
    if (typeof code === 'string') {
      if (CERTIFICATE_REASONS[code]) return CERTIFICATE_REASONS[code];
      if (/SELF_SIGNED|UNABLE_TO_|CERT_|_CA$/.test(code))
        return 'its certificate comes from an unknown authority';
      if (/^ERR_(SSL|TLS)_/.test(code)) return 'the handshake failed';
    }
    if (/before secure TLS connection was established/.test(message)) return 'the server ended the handshake';
  }
  return null;
}

function detailOf(error: unknown): string {
  return Array.from(causesOf(error), ({ name, code }) => [name, code].filter(Boolean).join(' ')).join(': ');
}

const CAUSES_MAX = 5;

function* causesOf(error: unknown): Generator<{ name: string; message: string; code?: unknown }> {
  let current = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth++) {
    yield current;
    current = current.cause;
  }
}
