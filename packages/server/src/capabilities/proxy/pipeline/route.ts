import { isPending } from '../../../kernel/promisable.js';
import type { Egress } from '../../../platform/egress/egress.js';
import type { RateLimiter } from '../../../platform/limits/rate-limiter.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import type { EgressServers } from '../../egress-servers/index.js';
import type { Plans } from '../../plans/index.js';
import type { Redaction } from '../../redaction/index.js';
import type { Secrets } from '../../secrets/index.js';
import type { CallEvents } from '../../webhooks/index.js';
import type { ProxyCall } from '../call.js';
import type { HopMarker } from './hop-marker.js';
import { admitClient, findRoute, judgeOrigin } from './route/admission.js';
import { identify, type RouteCallerDeps } from './route/caller.js';
import { type ChangesDeps, changedBody } from './route/changes.js';
import type { RouteExchange } from './route/exchange.js';
import { routeAllowances } from './route/limits.js';
import { requireSignature } from './route/signed.js';
import { guardRouteTarget } from './route/target.js';
import { upstreamPath } from './route/upstream-path.js';
import { send } from './send.js';
import { type ServeDeps, serveCall } from './serve.js';
import type { SignatureDeps } from './signature.js';
import { upstreamCertificate } from './upstream-certificate.js';
import { watchCall } from './watch.js';

export interface RoutePipelineDeps extends ServeDeps, RouteCallerDeps, Omit<ChangesDeps, 'secrets'> {
  readonly egress: Egress;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly egressServers: Pick<EgressServers, 'forCall'>;
  readonly redaction: Pick<Redaction, 'planFor'>;
  readonly plans: Pick<Plans, 'admit'>;
  readonly limiter: RateLimiter;
  readonly secrets: Pick<Secrets, 'resolve' | 'certificateOf'> & SignatureDeps['secrets'];
  readonly replays: SignatureDeps['replays'];
  readonly callEvents: CallEvents;
  readonly hopMarker: HopMarker;
}

/**
 * The steps of dataplane §5.3 in their order: of two causes to refuse a call the earlier one answers. A step that knows its
 * result returns it at once; an `await` for each would cost as much as the step.
 */
async function run(deps: RoutePipelineDeps, call: ProxyCall, exchange: RouteExchange): Promise<void> {
  const { trace } = exchange;
  trace?.step('authenticate');
  const identified = identify(deps, call, exchange);
  const known = isPending(identified) ? await identified : identified;
  const { caller } = known;
  const { scope } = caller.principal;
  call.path = pathOnly(exchange.entry.path);
  deps.apiLogs.assertRoom();
  const watched = watchCall(deps, call, caller);
  if (isPending(watched)) await watched;
  const planned = deps.redaction.planFor(scope, 'route');
  const plans = isPending(planned) ? await planned : planned;
  call.plan = plans;

  trace?.step('route');
  const found = findRoute(deps.routes, call, caller, exchange, plans);
  const called = isPending(found) ? await found : found;
  const { settings, plan } = called;

  trace?.step('admit');
  const admitted = admitClient(deps.clients, call, known, called, exchange);
  if (isPending(admitted)) await admitted;
  judgeOrigin(call, caller, settings);
  if (settings.requireSignature) await requireSignature(deps, call, caller, settings, exchange);
  const limited = deps.plans.admit(caller.principal, routeAllowances(deps.limiter, scope, called));
  call.rateLimit = isPending(limited) ? await limited : limited;

  trace?.step('guard');
  deps.hopMarker.refuseLoop(call.headers.via);
  const listed = deps.egressAllowlist.hostsFor(scope);
  const hosts = isPending(listed) ? await listed : listed;
  const chosen = deps.egressServers.forCall(scope, settings.egressServerId);
  const via = isPending(chosen) ? await chosen : chosen;
  const judged = guardRouteTarget(deps.egress, call, caller, hosts, settings);
  const guarded = isPending(judged) ? await judged : judged;
  const path = upstreamPath(settings, guarded.target.url, exchange.entry.path);

  trace?.step('render');
  const changed = changedBody(deps, call, caller, guarded, called);
  const body = isPending(changed) ? await changed : changed;
  const certificate =
    settings.mtlsCertificateId === null
      ? null
      : await upstreamCertificate(
          deps.secrets,
          call,
          scope,
          settings.mtlsCertificateId,
          called.environment.name,
        );
  const event = call.watch?.received(call);
  if (event) deps.apiLogs.appendAlone(event);

  trace?.stepUpstream('send', call.method, guarded.target);
  const rules = called.route.actions;
  if (rules.some(({ direction }) => direction === 'response')) call.watch?.hideAnswer();
  const onAnswer = rules.length === 0 ? null : { actions: deps.fieldActions, rules, caller };
  await send(deps, call, guarded, { path, body }, plan, { via, clientCertificate: certificate, onAnswer });
}

function pathOnly(path: string): string {
  const mark = path.indexOf('?');
  return mark === -1 ? path : path.slice(0, mark);
}

/** Never rejects. */
export function serveRoute(deps: RoutePipelineDeps, exchange: RouteExchange): Promise<void> {
  return serveCall(deps, exchange, 'route', (call) => run(deps, call, exchange));
}
