import { AppError } from '../../../kernel/errors.js';

/** What an issuer answers in place of its documents; the texts are ours and name no content. */
export function unusableAnswer(reason: string): AppError {
  return new AppError('upstream_unreachable', `The issuer answers what cannot be used: ${reason}`);
}

/** Discovery names another issuer than the one that was asked (OpenID Connect Discovery §4.3, RFC 8414 §3.3). */
export class OtherIssuer extends Error {
  override readonly name = 'OtherIssuer';
}

/** No key of the issuer is held, and it does not give any. */
export class IssuerUnavailable extends Error {
  override readonly name = 'IssuerUnavailable';
  constructor(
    /** For the tenant: fit for its audit log. */
    readonly reason: string,
    readonly retryAfterSeconds: number,
  ) {
    super(reason);
  }
}
