import { LIMITS } from '../../../kernel/limits.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { CallClock } from '../../../platform/egress/egress.js';
import { bodyKind, type CallTemplate, type EncryptedDocument, parseCall } from '../../templating/index.js';
import type { ProxyCall } from '../call.js';
import { bufferBody, passBody, type StreamedBody } from './body.js';

/** What is to be sent, as far as it is known before the tokens are read. */
export interface Scanned {
  /** Null = nothing to render. */
  readonly template: CallTemplate | null;
  readonly query: string;
  readonly body: Buffer | StreamedBody | null;
}

/** The target URL's pairs first, then those of `/v1/proxy` itself (dataplane §1.1). */
export function joinedQuery(target: URL, requestUrl: string): string {
  const fromTarget = target.search.slice(1);
  const mark = requestUrl.indexOf('?');
  if (mark === -1) return fromTarget;
  const hash = requestUrl.indexOf('#', mark);
  const fromRequest = requestUrl.slice(mark + 1, hash === -1 ? undefined : hash);
  if (fromTarget === '') return fromRequest;
  return fromRequest === '' ? fromTarget : `${fromTarget}&${fromRequest}`;
}

/** Templating off: bytes and query go on as they are. */
export function passThrough(call: ProxyCall, clock: CallClock, query: string): Promisable<Scanned> {
  const body = call.headers.hasBody ? passBody(call, clock, LIMITS.transparentBodyBytesMax) : null;
  if (isPending(body)) return body.then((read) => ({ template: null, query, body: read }));
  return { template: null, query, body };
}

export function scan(
  call: ProxyCall,
  clock: CallClock,
  query: string,
  document: EncryptedDocument | null,
): Promisable<Scanned> {
  const { headers } = call;
  const kind = bodyKind(headers.contentType, headers.contentEncoding);
  if (!headers.hasBody) {
    return { template: parseCall({ query, body: null }, kind, null, document), query, body: null };
  }
  if (headers.contentType === null) headers.forward.push('content-type', 'application/json');
  const bytesMax = LIMITS.templatedBodyBytesMax;
  if (kind === 'opaque') {
    const template = parseCall({ query, body: null }, kind, null, document);
    const body = passBody(call, clock, bytesMax);
    return isPending(body)
      ? body.then((read) => ({ template, query, body: read }))
      : { template, query, body };
  }
  const scanned = (body: Buffer): Scanned => ({
    template: parseCall({ query, body }, kind, headers.contentType, document),
    query,
    body,
  });
  const body = bufferBody(call, clock, bytesMax);
  return isPending(body) ? body.then(scanned) : scanned(body);
}
