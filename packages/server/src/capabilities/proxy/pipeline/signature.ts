import { isAppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { equalInConstantTime, hmacSha256, sha256 } from '../../../platform/crypto/hashing.js';
import type { Replays } from '../../dpop/index.js';
import type { Secrets } from '../../secrets/index.js';
import {
  invalidSignature,
  nonceTaken,
  noSigningSecret,
  signatureExpired,
  signatureMissing,
} from './signature-errors.js';

/** Where a route says how its requests are signed. */
export interface SignatureSettings {
  readonly signatureToleranceSec: number;
  readonly signatureHeader: string;
  readonly timestampHeader: string;
}

/** What the client sent; a header that came more than once is null, as one that did not come. */
export interface SignedRequest {
  /** As it was sent. */
  readonly method: string;
  /** As the client wrote it, query and all; `/api` of a tenant host left out. */
  readonly path: string;
  readonly timestamp: string | null;
  readonly signature: string | null;
  readonly nonce?: string | null;
  readonly body: Buffer;
}

interface VerifiedSignature {
  /** Of a signature that covers one. */
  readonly nonce: string | null;
  /** From then on its timestamp is refused. */
  readonly expiresAtMs: number;
}

export interface SignatureDeps {
  readonly secrets: Pick<Secrets, 'signingSecretOf'>;
  /** Nonces are kept beside the proofs of DPoP: one row in the database lets each in once, whichever process is asked. */
  readonly replays: Pick<Replays, 'take'>;
  readonly clock: { nowMs(): number };
}

export interface SignedCall {
  readonly scope: Scope;
  readonly environment: string;
  /** The client that the request was matched to; null where it matches none. */
  readonly client: { readonly id: string; readonly signingSecretId: string | null } | null;
  readonly settings: SignatureSettings;
  readonly request: SignedRequest;
}

const TIMESTAMP = /^\d{1,12}$/;
const SIGNATURE = /^[0-9a-fA-F]{64}$/;
const NONCE = new RegExp(`^[A-Za-z0-9._~+=-]{8,${LIMITS.signatureNonceCharactersMax}}$`);

/**
 * Step 7 of dataplane.md §5.3. A signed route lets nobody by whose secret is not known: no client, a client without one,
 * or with one that is gone or out of date, are 403 as a wrong signature is (docs/decisions/0096). Gives whether the secret
 * has expired, which only a strict expiry minds; throws 403 `signature_missing`, `signature_expired`, `invalid_signature`.
 */
export async function checkSignature(
  deps: SignatureDeps,
  call: SignedCall,
): Promise<{ readonly isExpired: boolean }> {
  const { scope, environment, client, settings, request } = call;
  const { signature } = requireHeaders(settings, request);
  const nowMs = deps.clock.nowMs();
  judgeTime(settings, request, nowMs);
  if (client === null || client.signingSecretId === null) throw noSigningSecret();
  const found = await secretOf(deps.secrets, scope, client.signingSecretId, environment);
  const { nonce, expiresAtMs } = compare(settings, request, signature, found.value);
  const { isExpired } = found;
  if (nonce === null) return { isExpired };
  const key = sha256(`route-signature ${scope.tenantId} ${scope.sandbox} ${client.id} ${nonce}`);
  const keptUntilMs = expiresAtMs + LIMITS.dpopReplayMarginMs;
  if (!(await deps.replays.take(key, keptUntilMs, []))) throw nonceTaken();
  return { isExpired };
}

function requireHeaders({ signatureHeader, timestampHeader }: SignatureSettings, request: SignedRequest) {
  const { signature, timestamp } = request;
  if (!signature || !timestamp) {
    const missing = [...(signature ? [] : [signatureHeader]), ...(timestamp ? [] : [timestampHeader])];
    throw signatureMissing(missing);
  }
  return { signature };
}

/** In whole seconds, as it is written: a tolerance of 0 is this second. */
function judgeTime(settings: SignatureSettings, { timestamp }: SignedRequest, nowMs: number): void {
  if (!TIMESTAMP.test(timestamp!))
    throw invalidSignature(`${settings.timestampHeader} must be seconds since 1970, in digits`);
  const distanceSec = Math.abs(Math.floor(nowMs / 1000) - Number(timestamp));
  if (distanceSec > settings.signatureToleranceSec)
    throw signatureExpired(settings.timestampHeader, distanceSec, settings.signatureToleranceSec);
}

/**
 * A nonce stands between timestamp and method, where no other request reads the same: digits would make the timestamp
 * another one, and nothing else may stand in it. Clients that sign none may send a header of that name to their upstream.
 */
function compare(
  settings: SignatureSettings,
  { method, path, timestamp, nonce = null, body }: SignedRequest,
  signature: string,
  secret: Secret<string>,
): VerifiedSignature {
  const key = Buffer.from(secret.reveal(), 'utf8');
  // An empty key is one that everybody knows.
  const given = SIGNATURE.test(signature) && key.length > 0 ? Buffer.from(signature, 'hex') : null;
  const expiresAtMs = (Number(timestamp) + settings.signatureToleranceSec + 1) * 1000;
  const isOver = (between: string) => {
    const head = Buffer.from(`${timestamp}${between}${method}${path}`, 'latin1');
    return given !== null && equalInConstantTime(hmacSha256(key, head, body), given);
  };
  try {
    if (nonce !== null && NONCE.test(nonce) && isOver(nonce)) return { nonce, expiresAtMs };
    if (isOver('')) return { nonce: null, expiresAtMs };
  } finally {
    key.fill(0);
  }
  throw invalidSignature(`${settings.signatureHeader} does not fit the request`);
}

async function secretOf(
  secrets: SignatureDeps['secrets'],
  scope: Scope,
  secretId: string,
  environment: string,
): ReturnType<Secrets['signingSecretOf']> {
  try {
    return await secrets.signingSecretOf(scope, secretId, environment);
  } catch (error) {
    // What is wrong with it is for who set it up; the server's own trouble is told as such.
    if (isAppError(error) && error.status < 500) throw noSigningSecret(error);
    throw error;
  }
}
