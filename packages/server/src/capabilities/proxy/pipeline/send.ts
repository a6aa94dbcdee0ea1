import type { ClientCertificate, Egress } from '../../../platform/egress/egress.js';
import type { EgressChain } from '../../egress-servers/index.js';
import type { RedactionPlan } from '../../redaction/index.js';
import type { ProxyCall } from '../call.js';
import { hyphensOf, withIdentityEncoding } from '../request-headers.js';
import { beginAnswer } from './answer.js';
import type { AnswerRules } from './answer-rules.js';
import { StreamedBody } from './body.js';
import type { HopMarker } from './hop-marker.js';
import type { Outbound } from './render.js';
import type { GuardedTarget } from './target.js';

export interface SendDeps {
  readonly egress: Pick<Egress, 'stream'>;
  readonly hopMarker: HopMarker;
}

/** Flat name, value list of what the upstream gets, but for what belongs to the connection. `isRead`: its answer is. */
export function upstreamHeaders(
  call: ProxyCall,
  deps: Pick<SendDeps, 'hopMarker'>,
  outbound: Outbound,
  isRead: boolean,
): string[] {
  const inbound = call.headers;
  const authorization = inbound.upstreamAuthorization;
  const credential = call.credential;
  const forward = credential === null ? inbound.forward : without(inbound.forward, credential.name);
  const headers = isRead ? withIdentityEncoding(forward) : forward;
  // A buffered body's length is set where it is sent; a streamed one keeps the length it came with.
  if (outbound.body instanceof StreamedBody && inbound.contentLength !== null) {
    headers.push('content-length', String(inbound.contentLength));
  }
  // Behind what `Connection` took away, so that the caller cannot take it away.
  if (authorization !== null) headers.push('authorization', authorization.reveal());
  if (credential !== null) headers.push(credential.name, credential.value.reveal());
  headers.push('via', inbound.via === '' ? deps.hopMarker.via : `${inbound.via}, ${deps.hopMarker.via}`);
  return headers;
}

export interface SendOptions {
  /** What the call leaves by; null = this machine's own address. */
  readonly via: EgressChain | null;
  readonly clientCertificate: ClientCertificate | null;
  /** What the route does to its answer; null = nothing. */
  readonly onAnswer: AnswerRules | null;
}

/** The caller's own would stand beside ours, and upstreams differ in which of two they believe, and read `_` as `-`. */
function without(forward: readonly string[], name: string): string[] {
  const ours = hyphensOf(name);
  return forward.filter((_, i) => hyphensOf(forward[i - (i % 2)]!) !== ours);
}

/** One attempt, to the judged addresses only; resolves when the caller's answer is complete. */
export function send(
  deps: SendDeps,
  call: ProxyCall,
  guarded: GuardedTarget,
  outbound: Outbound,
  plan: RedactionPlan,
  { via, clientCertificate, onAnswer }: SendOptions,
): Promise<void> {
  const { trace } = call.exchange;
  const { target, clock } = guarded;
  const isRead = plan.hasBodyRules || (call.guard?.isActive ?? false) || onAnswer !== null;
  call.assertClientPresent();
  return deps.egress.stream(
    target,
    {
      method: call.method,
      path: outbound.path,
      headers: upstreamHeaders(call, deps, outbound, isRead),
      body: outbound.body,
      clock,
      idleTimeoutMs: clock.timeoutMs,
      via,
      clientCertificate,
    },
    (head) => {
      trace?.upstreamAnswered(head.status);
      return beginAnswer(call, plan, head, onAnswer);
    },
  );
}
