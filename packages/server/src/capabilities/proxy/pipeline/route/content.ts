import { LIMITS } from '../../../../kernel/limits.js';
import { isPending, type Promisable } from '../../../../kernel/promisable.js';
import type { CallClock } from '../../../../platform/egress/egress.js';
import {
  type BodyKind,
  bodyKind,
  type CallTemplate,
  createExpressionWatch,
  parseRouteBody,
} from '../../../templating/index.js';
import type { ProxyCall } from '../../call.js';
import { tooLongToRender } from '../../errors.js';
import { bufferBody, passBody, readStart, type StreamedBody } from '../body.js';

export interface RouteContent {
  /** Null = nothing to render. */
  readonly template: CallTemplate | null;
  readonly body: Buffer | StreamedBody | null;
}

const NO_CONTENT: RouteContent = { template: null, body: null };
const RENDERED_METHODS: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

export function isRendered(method: string): boolean {
  return RENDERED_METHODS.has(method);
}

/**
 * The client's body (dataplane §2.2). Text of POST, PUT and PATCH is read up to 10 MiB and rendered; beyond that it goes on
 * as it comes while nothing in it asks to be rendered. `isWhole`: a step needs all of it.
 */
export function readContent(
  call: ProxyCall,
  clock: CallClock,
  variables: ReadonlyMap<string, string>,
  isWhole: boolean,
): Promisable<RouteContent> {
  const { headers, method } = call;
  if (!headers.hasBody) return NO_CONTENT;
  const kind = bodyKind(headers.contentType, headers.contentEncoding);
  const isTextual = kind !== 'opaque' && isRendered(method) && !call.isVerbatim;
  const parsed = (body: Buffer): RouteContent => ({
    body,
    template: isTextual ? parseRouteBody(body, kind, headers.contentType, variables) : null,
  });
  if (call.body !== null) return parsed(call.body);
  if (isWhole) return after(bufferBody(call, clock, LIMITS.templatedBodyBytesMax), parsed);
  if (!isTextual) return after(passBody(call, clock, LIMITS.transparentBodyBytesMax), unread);
  const started = readStart(call, clock, {
    wholeBytesMax: LIMITS.templatedBodyBytesMax,
    bytesMax: LIMITS.transparentBodyBytesMax,
    createJudge: () => refusesExpressions(kind),
  });
  return after(started, (body) => (Buffer.isBuffer(body) ? parsed(body) : unread(body)));
}

function refusesExpressions(kind: BodyKind): (chunk: Buffer) => void {
  const holds = createExpressionWatch(kind);
  return (chunk) => {
    if (holds(chunk)) throw tooLongToRender(LIMITS.templatedBodyBytesMax);
  };
}

function unread(body: Buffer | StreamedBody): RouteContent {
  return { template: null, body };
}

function after<T, R>(value: Promisable<T>, then: (value: T) => R): Promisable<R> {
  return isPending(value) ? value.then(then) : then(value);
}
