import { isPending } from '../../../kernel/promisable.js';
import type { Egress } from '../../../platform/egress/egress.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import type { EgressServers } from '../../egress-servers/index.js';
import type { Plans } from '../../plans/index.js';
import { EchoGuard, type Redaction } from '../../redaction/index.js';
import type { CallEvents } from '../../webhooks/index.js';
import type { Exchange, ProxyCall } from '../call.js';
import { readCredential } from '../credential.js';
import type { RequestHeaders } from '../request-headers.js';
import { authenticate, requirePermission } from './authenticate.js';
import { detokenize, guardedValues, NO_VALUES, type ValueSources } from './detokenize.js';
import { dryRun } from './dry-run.js';
import type { HopMarker } from './hop-marker.js';
import { type EphemeralOptions, readOptions as optionsOf } from './options.js';
import { render } from './render.js';
import { joinedQuery, passThrough, scan } from './scan.js';
import { send } from './send.js';
import { type ServeDeps, serveCall } from './serve.js';
import { guardTarget } from './target.js';
import { watchCall } from './watch.js';

export interface EphemeralDeps extends ValueSources, ServeDeps {
  readonly egress: Egress;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly egressServers: Pick<EgressServers, 'forCall'>;
  readonly redaction: Pick<Redaction, 'planFor'>;
  readonly plans: Pick<Plans, 'admit' | 'admitOperation'>;
  readonly callEvents: CallEvents;
  readonly hopMarker: HopMarker;
}

/** What is asked for: by headers at `/v1/proxy`, by a token at the gateway. */
export type ReadOptions = (headers: RequestHeaders) => EphemeralOptions;

/**
 * The steps of dataplane §1.3 in their order. Nothing is sent upstream unless all before `send` went well. A step that
 * knows its result returns it at once: for most calls all do, and an `await` for each would cost a tenth of the call.
 */
async function run(deps: EphemeralDeps, call: ProxyCall, readOptions: ReadOptions): Promise<void> {
  const { trace } = call.exchange;
  trace?.step('authenticate');
  const authenticated = authenticate(call);
  const caller = isPending(authenticated) ? await authenticated : authenticated;
  deps.apiLogs.assertRoom();
  const watched = watchCall(deps, call, caller);
  if (isPending(watched)) await watched;
  const admitted = deps.plans.admit(caller.principal);
  call.rateLimit = isPending(admitted) ? await admitted : admitted;
  requirePermission(caller, 'proxy:invoke');
  const metered = deps.plans.admitOperation(caller.principal.scope);
  const operations = isPending(metered) ? await metered : metered;
  const planned = deps.redaction.planFor(caller.principal.scope, 'ephemeral');
  const plan = isPending(planned) ? await planned : planned;
  call.plan = plan;
  deps.hopMarker.refuseLoop(call.headers.via);
  const options = readOptions(call.headers);
  trace?.step('guard');
  const listed = deps.egressAllowlist.hostsFor(caller.principal.scope);
  const hosts = isPending(listed) ? await listed : listed;
  if (options.isDryRun) return dryRun(deps, call, caller, { options, hosts, plan });
  const judged = guardTarget(deps.egress, call, caller, hosts, options.proxyUrl, options.timeoutMs);
  const guarded = isPending(judged) ? await judged : judged;
  const chosen = deps.egressServers.forCall(caller.principal.scope, null);
  const via = isPending(chosen) ? await chosen : chosen;
  operations.count();
  trace?.step('scan');
  const query = joinedQuery(guarded.target.url, call.exchange.request.url ?? '');
  const read = options.isTransparent
    ? passThrough(call, guarded.clock, query)
    : scan(call, guarded.clock, query, options.encrypted);
  const scanned = isPending(read) ? await read : read;
  trace?.step('detokenize');
  call.watch?.keepRequest(scanned.body);
  const { hostname } = guarded.target.url;
  // First, so that no token is read out for a call that may not be sent.
  const own =
    options.credential === null
      ? null
      : await readCredential(deps.secrets, caller.principal.scope, hostname, options.credential);
  const values =
    scanned.template === null ? NO_VALUES : await detokenize(deps, call, caller, hostname, scanned.template);
  call.credential = own?.header ?? null;
  if (own?.isExpired) call.usedExpired = true;
  call.injected = own === null ? values.secrets : [...values.secrets, own.guarded];
  const guardable = own === null ? guardedValues(values) : [...guardedValues(values), own.guarded];
  if (guardable.length > 0) call.guard = new EchoGuard(guardable);
  trace?.step('render');
  const outbound = render(guarded.target, scanned, values);
  const event = call.watch?.received(call);
  if (event) deps.apiLogs.appendAlone(event);
  trace?.stepUpstream('send', call.method, guarded.target);
  await send(deps, call, guarded, outbound, plan, { via, clientCertificate: null, onAnswer: null });
}

/** Never rejects. */
export function serveEphemeral(
  deps: EphemeralDeps,
  exchange: Exchange,
  readOptions: ReadOptions = optionsOf,
): Promise<void> {
  return serveCall(deps, exchange, 'ephemeral', (call) => run(deps, call, readOptions));
}
