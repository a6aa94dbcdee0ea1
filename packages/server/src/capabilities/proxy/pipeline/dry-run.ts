import { isUtf8 } from 'node:buffer';
import { finished } from 'node:stream/promises';
import { AppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import {
  ADDRESS_CLASSES,
  type AddressClass,
  type CallClock,
  type Egress,
} from '../../../platform/egress/egress.js';
import type { HostList } from '../../../platform/egress/name-policy.js';
import { pushRateLimit } from '../../../platform/http/rate-limit-headers.js';
import { EchoGuard, type RedactionPlan } from '../../redaction/index.js';
import { maskedDocument } from '../../templating/index.js';
import type { ProxyCall } from '../call.js';
import { maskCredential } from '../credential.js';
import { type DryRunResult, dryRunWire, type Preview, RULES, type Rule } from '../schemas.js';
import { StreamedBody } from './body.js';
import { guardedValues, maskValues, NO_VALUES, type ValueSources } from './detokenize.js';
import type { HopMarker } from './hop-marker.js';
import type { EphemeralOptions } from './options.js';
import { type Outbound, render } from './render.js';
import { joinedQuery, passThrough, scan } from './scan.js';
import { upstreamHeaders } from './send.js';
import { type GuardedTarget, guardTarget } from './target.js';

export interface DryRunDeps extends ValueSources {
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>;
  readonly hopMarker: HopMarker;
}

/** What the steps before have found out. */
export interface DryRunInput {
  readonly options: EphemeralOptions;
  readonly hosts: HostList;
  readonly plan: RedactionPlan;
}

/** How far the call got. */
interface Progress {
  stage: 'guard' | 'template' | 'values';
  addressClass: AddressClass | null;
}

/**
 * `X-Knox-Dry-Run: 1` (dataplane §1.1): steps 3 to 6 as for any call, with masks in place of values, and an answer that
 * tells what step 7 would send, or which rule refuses. No operation is counted, nothing is read out, audited or sent.
 */
export async function dryRun(
  deps: DryRunDeps,
  call: ProxyCall,
  caller: Caller,
  input: DryRunInput,
): Promise<void> {
  call.isDryRun = true;
  const progress: Progress = { stage: 'guard', addressClass: null };
  let result: DryRunResult;
  try {
    const preview = await rehearse(deps, call, caller, input, progress);
    result = { preview, addressClass: progress.addressClass, verdicts: verdictsOf(null), refusal: null };
  } catch (cause) {
    if (!isVerdict(cause)) throw cause;
    const addressClass = progress.addressClass ?? refusedClass(cause);
    const verdicts = verdictsOf(refusingRule(progress.stage, cause));
    result = { preview: null, addressClass, verdicts, refusal: cause };
  }
  call.assertClientPresent();
  answer(call, result);
}

async function rehearse(
  deps: DryRunDeps,
  call: ProxyCall,
  caller: Caller,
  { options, hosts, plan }: DryRunInput,
  progress: Progress,
): Promise<Preview> {
  const { trace } = call.exchange;
  const { proxyUrl, timeoutMs, encrypted } = options;
  const guarded = await guardTarget(deps.egress, call, caller, hosts, proxyUrl, timeoutMs);
  progress.addressClass = guarded.target.addressClass;
  progress.stage = 'template';
  trace?.step('scan');
  const query = joinedQuery(guarded.target.url, call.exchange.request.url ?? '');
  const scanned = await (options.isTransparent
    ? passThrough(call, guarded.clock, query)
    : scan(call, guarded.clock, query, encrypted === null ? null : maskedDocument(encrypted)));
  if (scanned.body instanceof StreamedBody) await drain(scanned.body, guarded.clock);
  progress.stage = 'values';
  trace?.step('check');
  const { hostname } = guarded.target.url;
  if (options.credential !== null) {
    const { scope } = caller.principal;
    call.credential = await maskCredential(deps.secrets, scope, hostname, options.credential);
  }
  const values =
    scanned.template === null ? NO_VALUES : await maskValues(deps, caller, hostname, scanned.template);
  trace?.step('render');
  const isGuarded = call.credential !== null || new EchoGuard(guardedValues(values)).isActive;
  const isRead = plan.hasBodyRules || isGuarded;
  return previewOf(deps, call, guarded, render(guarded.target, scanned, values), isRead);
}

/** Its length is judged like that of any call; what it holds is shown to nobody. */
async function drain(body: StreamedBody, clock: CallClock): Promise<void> {
  const leaveClock = clock.onEnd((error) => body.destroy(error));
  try {
    await finished(body.resume());
  } finally {
    leaveClock();
  }
}

function previewOf(
  deps: DryRunDeps,
  call: ProxyCall,
  { target }: GuardedTarget,
  outbound: Outbound,
  isRead: boolean,
): Preview {
  return {
    url: `${target.url.origin}${outbound.path}`,
    rawHeaders: upstreamHeaders(call, deps, outbound, isRead),
    body: outbound.body instanceof StreamedBody ? null : textOf(outbound.body),
  };
}

/** The beginning of a text, cut between characters; null for what is none. */
function textOf(body: Buffer | null): string | null {
  if (body === null || !isUtf8(body)) return null;
  let end = Math.min(body.length, LIMITS.dryRunPreviewBytesMax);
  while (end < body.length && (body[end]! & 0xc0) === 0x80) end -= 1;
  return body.toString('utf8', 0, end);
}

/** A bug, a client that left and a database that does not answer are no verdict on the call. */
function isVerdict(cause: unknown): cause is AppError {
  return (
    cause instanceof AppError && cause.type !== 'internal_error' && cause.type !== 'dependency_unavailable'
  );
}

function refusedClass({ type, reason }: AppError): AddressClass | null {
  if (type !== 'ssrf_blocked') return null;
  return ADDRESS_CLASSES.find((one) => one === reason) ?? null;
}

function refusingRule(stage: Progress['stage'], { type }: AppError): Rule {
  if (stage !== 'guard') return stage;
  if (type === 'invalid_proxy_url') return 'target';
  return type === 'egress_blocked' ? 'egress_allowlist' : 'address';
}

/** They are judged in their order, and nothing is judged behind the one that refuses. */
function verdictsOf(refusing: Rule | null): DryRunResult['verdicts'] {
  const at = refusing === null ? RULES.length : RULES.indexOf(refusing);
  return RULES.map((name, i) => {
    if (i === at) return { name, verdict: 'refused' };
    return { name, verdict: i < at ? 'passed' : 'not_judged' };
  });
}

/** Ours: without `X-Knox-Destination-Status` (dataplane §1.4). */
function answer(call: ProxyCall, result: DryRunResult): void {
  const { response, requestId } = call.exchange;
  const body = JSON.stringify({ data: dryRunWire(call.method, result), meta: { request_id: requestId } });
  const rawHeaders = [
    'content-type',
    'application/json; charset=utf-8',
    'content-length',
    String(Buffer.byteLength(body)),
    'cache-control',
    'no-store',
    'x-request-id',
    requestId,
  ];
  if (call.rateLimit !== null) pushRateLimit(rawHeaders, call.rateLimit);
  response.writeHead(200, rawHeaders);
  response.end(call.method === 'HEAD' ? undefined : body);
}
