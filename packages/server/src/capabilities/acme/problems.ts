/** RFC 8555 §6.7: those that this server gives, each with its usual status. */
const PROBLEM_STATUS = {
  accountDoesNotExist: 400,
  alreadyRevoked: 400,
  badCSR: 400,
  badNonce: 400,
  badPublicKey: 400,
  badRevocationReason: 400,
  badSignatureAlgorithm: 400,
  connection: 400,
  dns: 400,
  externalAccountRequired: 403,
  incorrectResponse: 403,
  invalidContact: 400,
  malformed: 400,
  orderNotReady: 403,
  rateLimited: 429,
  rejectedIdentifier: 400,
  serverInternal: 500,
  tls: 400,
  unauthorized: 403,
  unsupportedContact: 400,
  unsupportedIdentifier: 400,
} as const;

export type ProblemType = keyof typeof PROBLEM_STATUS;

export interface ProblemOptions {
  readonly status?: number;
  readonly subproblems?: readonly Subproblem[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members that RFC 8555 names, such as `algorithms`. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** Of one identifier of a request (RFC 8555 §6.7.1). */
export interface Subproblem {
  readonly type: ProblemType;
  readonly detail: string;
  readonly name: string;
}

/** A problem document as it is sent, and stored with what failed (RFC 7807). */
export type ProblemDocument = Readonly<Record<string, unknown>> & { readonly type: string };

/** Not an `AppError`: ACME has a shape of its own (contract README §1.1). */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem';
  readonly status: number;

  constructor(
    readonly type: ProblemType,
    /** For whoever sent the request: names the field and the rule, never a value that is secret. */
    readonly detail: string,
    readonly options: ProblemOptions = {},
  ) {
    super(`${type}: ${detail}`);
    this.status = options.status ?? PROBLEM_STATUS[type];
  }

  document(): ProblemDocument {
    const { subproblems, members } = this.options;
    return {
      type: urnOf(this.type),
      detail: this.detail,
      status: this.status,
      ...members,
      ...(subproblems && {
        subproblems: subproblems.map(({ type, detail, name }) => ({
          type: urnOf(type),
          detail,
          identifier: { type: 'dns', value: name },
        })),
      }),
    };
  }
}

export function urnOf(type: ProblemType): string {
  return `urn:ietf:params:acme:error:${type}`;
}

export const malformed = (detail: string): AcmeProblem => new AcmeProblem('malformed', detail);

/** Unknown, another account's, another role's: one answer. */
export const notThere = (what: string): AcmeProblem =>
  new AcmeProblem('malformed', `${what} not found`, { status: 404 });

/** A key or a link that does not (any longer) stand for who is allowed (RFC 8555 §7.3.6). */
export const notAuthorized = (detail: string, status = 403): AcmeProblem =>
  new AcmeProblem('unauthorized', detail, { status });

export function rateLimited(detail: string, leftMs: number): AcmeProblem {
  const seconds = Math.max(1, Math.ceil(leftMs / 1_000));
  return new AcmeProblem('rateLimited', detail, { headers: { 'retry-after': String(seconds) } });
}
