import type { ServerResponse } from 'node:http';
import type { RequestId } from '../../kernel/ids.js';
import type { ClientPresence, Egress } from '../../platform/egress/egress.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import { type HopMarker, passedHeaders, RequestHeaders } from '../proxy/index.js';
import type { InboundWebhook } from './store.js';

/** A request that was verified. */
export interface VerifiedRequest {
  readonly method: string;
  /** With its question mark, or empty. It is not signed. */
  readonly query: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly requestId: RequestId;
  readonly response: ServerResponse;
}

/** To a URL, at once: the answer is the sender's. What goes to a route is kept first (`deliveries/`). */
export interface Forward {
  /** Writes the answer; resolves with its status when all of it is written. */
  send(webhook: InboundWebhook, tenantSlug: string, request: VerifiedRequest): Promise<number>;
  hostOf(webhook: InboundWebhook): string | null;
}

export interface ForwardDeps {
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly mayBePlain: boolean;
  readonly hopMarker: HopMarker;
  /** Of `KNOX_CLIENT_CERT_HEADER`. */
  readonly certificateHeader: string | null;
}

const FORWARD_MS = 30_000;

export function createForward(deps: ForwardDeps): Forward {
  const { egress, egressAllowlist, mayBePlain, hopMarker, certificateHeader } = deps;

  /** 508 of what has been here before. */
  function headersOf({ rawHeaders, requestId }: VerifiedRequest): string[] {
    // Strips what is of this hop and whatever says X-Knox-…, so that nobody else says verified.
    const inbound = new RequestHeaders(rawHeaders, certificateHeader);
    hopMarker.refuseLoop(inbound.via);
    return [
      ...without(inbound.forward, 'x-request-id'),
      'X-Knox-Verified',
      'true',
      'X-Request-Id',
      requestId,
      'Via',
      inbound.via === '' ? hopMarker.via : `${inbound.via}, ${hopMarker.via}`,
    ];
  }

  return {
    hostOf: ({ targetUrl }) =>
      targetUrl !== null && URL.canParse(targetUrl) ? new URL(targetUrl).host : null,

    async send({ scope, targetUrl }, tenantSlug, request) {
      const { method, query, body, requestId, response } = request;
      const policy = { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope), mayBePlain };
      const url = egress.parse(targetUrl!, policy);
      const clock = egress.startClock(FORWARD_MS, presenceOf(response));
      let answered = 0;
      try {
        const target = await egress.judge(url, policy, clock);
        const hasBody = body.length > 0 || (method !== 'GET' && method !== 'DELETE');
        const call = {
          method,
          path: pathOf(url, query),
          headers: headersOf(request),
          body: hasBody ? body : null,
          clock,
          idleTimeoutMs: FORWARD_MS,
        };
        await egress.stream(target, call, ({ status, rawHeaders }) => {
          answered = status;
          const headers = passedHeaders(rawHeaders);
          headers.push('X-Knox-Upstream-Status', String(status), 'X-Request-Id', requestId);
          response.writeHead(status, headers);
          return response;
        });
        return answered;
      } finally {
        clock.stop();
      }
    },
  };
}

function without(headers: readonly string[], lowerName: string): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]!.toLowerCase() !== lowerName);
}

/** Behind what the target's own query has. */
function pathOf(url: URL, query: string): string {
  if (query === '' || query === '?') return `${url.pathname}${url.search}`;
  return `${url.pathname}${url.search === '' ? query : `${url.search}&${query.slice(1)}`}`;
}

function presenceOf(response: ServerResponse): ClientPresence {
  const isGone = () => response.closed && !response.writableFinished;
  return {
    get isGone() {
      return isGone();
    },
    onGone(callback) {
      response.once('close', () => {
        if (isGone()) callback();
      });
    },
  };
}
