import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { ErrorType } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type {
  Caller,
  CapabilityAction,
  CapabilityCaller,
  SessionCaller,
  Visitor,
} from '../../kernel/principal.js';
import type { ConnectionSource, RequestSource } from './request-source.js';
import type { StepUpRule } from './step-up.js';

type Schema = z.ZodType;
type Out<S> = S extends z.ZodType ? z.output<S> : undefined;

/**
 * Who may call: `tenant` = a principal in a tenant; `session` = a signed-in user, whatever the tenant (only under
 * `/admin`); `capability` = whoever holds a token that was made for this act (only under `/v1`); `public` = anybody.
 */
export type Access = 'tenant' | 'session' | 'capability' | 'public';

interface CallerOf {
  readonly tenant: Caller;
  readonly session: SessionCaller;
  readonly capability: CapabilityCaller;
  readonly public: Visitor;
}

/** One endpoint. The HTTP floor reads it for authentication, permission, validation, OpenAPI and the answer's shape. */
export interface RouteDefinition<
  Params extends Schema | undefined = Schema | undefined,
  Query extends Schema | undefined = Schema | undefined,
  Body extends Schema | undefined = Schema | undefined,
  Who extends Access = Access,
  Result = unknown,
> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /**
   * Full path with `:name` parameters. `/v1/vaults/:nameOrId` serves keys there and signed-in users at its twin
   * `/admin/vaults/:nameOrId`; a path that begins with `/admin` is served there alone.
   */
  readonly path: string;
  /** The answer's body under `/admin`, bare in the families of contract README §5; `none` = no twin. Default `envelope`. */
  readonly admin?: 'envelope' | 'bare' | 'none';
  /** Default `tenant`. */
  readonly access?: Who;
  /** What the token must have been made for; of access `capability`. Pages of other origins may call (Fetch §3.3). */
  readonly capability?: {
    readonly action: CapabilityAction;
    /** Who may read the answer: any page, or those of origins that the token names. */
    readonly readers: 'any' | 'pinned';
  };
  /** The user has to have proven itself anew, in `X-KnoxCall-StepUp` (auth.md §7). Of calls under `/admin` alone. */
  readonly stepUp?: StepUpRule;
  readonly summary: string;
  /** Name in the API description; by default made of method and path (`openapi/operation-id.ts`). */
  readonly operationId?: string;
  /** A name of contract README §2; `null` = any valid credential, and where the access is not `tenant`. */
  readonly permission: string | null;
  /** Also reachable for a tenant that is paused or cancelled (auth.md §11). */
  readonly servesInactive?: boolean;
  /** Helps a sealed tenant out, so that its idempotency key is not honoured while no key is there to seal the answer. */
  readonly worksSealed?: boolean;
  /** Audit actions that a success writes; `null` = read-only. */
  readonly audit: string | null;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  /** Members of the body, and of the answer, that are not parsed: `JsonText`, so that numbers keep their digits. */
  readonly jsonTexts?: readonly string[];
  /** Schema of `data`, of one row where the answer is a page or a feed; strips what must not leave. */
  readonly response: Schema;
  /** `page` answers `{data: [...], meta: {total, page, ...}}`; `feed` a cursor feed; default `{data, meta:{request_id}}`. */
  readonly answer?: 'single' | 'page' | 'feed';
  /** Media type where the answer is a text as it is, at both mounts; the schema is that of a string. */
  readonly text?: 'text/plain' | 'text/x-pem-file' | 'text/csv';
  /** `none`: `{data}` alone, as the family of OAuth clients answers (auth.md §2.9). */
  readonly meta?: 'none';
  /** Beside `data`, where there is something to warn of. */
  warning?(data: unknown): string | null;
  /** 200 unless it adds a row to a collection (201) or is only asked for by then (202). */
  readonly status?: 200 | 201 | 202;
  /** Where a success may also be 202: what was asked for is not there yet. */
  isPending?(result: never): boolean;
  /** Error types of this endpoint alone: those of every call, of a row's name and of a body are known without. */
  readonly errors?: readonly ErrorType[];
  /** Default: `bodyBytesMaxOf`. */
  readonly bodyBytesMax?: number;
  /** Weak validator of a GET's answer: who names it in `If-None-Match` gets 304 (RFC 9110 §13.1.2). */
  etag?(data: never): string;
  /** Sets `Cache-Control: no-store`: the answer holds a secret, token or password. */
  readonly noStore?: boolean;
  /** `Set-Cookie` values of a success, made from the handler's result. */
  readonly cookies?: (result: never, connection: Pick<ConnectionSource, 'isSecure'>) => readonly string[];
  /** Fields of `data` that a replay shows as null: a certificate's private key is never stored (auth.md §5). */
  readonly notReplayed?: readonly string[];
  handle(request: RouteRequest<Out<Params>, Out<Query>, Out<Body>, Who>): Promise<Result>;
  /**
   * The result on the wire, before `response` strips it. A call that changes something answers inside the transaction
   * of the change, from the result that the service hands to `recordAnswer`: so what is left to do is said here.
   */
  wire?(result: Result, request: RouteRequest<Out<Params>, Out<Query>, Out<Body>, Who>): unknown;
}

export interface RouteRequest<Params, Query, Body, Who extends Access> {
  readonly caller: CallerOf[Who];
  readonly source: RequestSource;
  /** For what is sent beside the body: cookies and the headers that belong to them. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
}

/** What a handler of a `text` route may return: sent piece by piece, no faster than it is taken; a failure breaks it off. */
export class TextStream {
  constructor(
    readonly pieces: AsyncIterable<string>,
    /** Under which a browser keeps it. */
    readonly filename: string,
    /** Once, when it has been sent or nobody takes it any more. */
    readonly release: () => void,
  ) {}
}

/** What a handler of an `answer: 'page'` route returns. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly total: number;
  readonly page: number;
  readonly perPage: number;
}

/** What a handler of an `answer: 'feed'` route returns. */
export interface Feed<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | null;
  readonly limit: number;
  readonly dedupeOn: string;
  readonly watermarkSeconds: number;
  readonly redacted?: readonly string[];
}

/** Keeps the schemas' types for the handler; the list of an API holds them all as `RouteDefinition`. */
export function route<
  Params extends Schema | undefined,
  Query extends Schema | undefined,
  Body extends Schema | undefined,
  Who extends Access = 'tenant',
  Result = unknown,
>(definition: RouteDefinition<Params, Query, Body, Who, Result>): RouteDefinition {
  return definition as unknown as RouteDefinition;
}

/** Bytes of JSON that a route takes. From strangers little: a connection holds what it has sent until it has sent all. */
export function bodyBytesMaxOf({
  bodyBytesMax,
  access,
}: Pick<RouteDefinition, 'bodyBytesMax' | 'access'>): number {
  return bodyBytesMax ?? (access === 'public' ? LIMITS.publicBodyBytesMax : LIMITS.managementBodyBytesMax);
}
