import type { Exchange } from './call.js';
import { type EphemeralDeps, serveEphemeral } from './pipeline/ephemeral.js';
import { type GatewayTarget, gatewayOptions } from './pipeline/gateway.js';
import { createHopMarker } from './pipeline/hop-marker.js';
import type { RouteExchange } from './pipeline/route/exchange.js';
import { type RoutePipelineDeps, serveRoute } from './pipeline/route.js';

interface Installation {
  /** 8 hex digits, fixed per installation (contract README §6). */
  readonly deploymentId: string;
}

export type ProxyDeps = Omit<EphemeralDeps, 'hopMarker'> & Installation;
export type RouteProxyDeps = Omit<RoutePipelineDeps, 'hopMarker'> & Installation;

export interface EphemeralProxy {
  serveEphemeral(exchange: Exchange): Promise<void>;
  /** The same steps; `target` is asked once the exchange has admitted the token. */
  serveGateway(exchange: Exchange, target: () => GatewayTarget): Promise<void>;
}

export interface RouteProxy {
  serveRoute(exchange: RouteExchange): Promise<void>;
}

export function createProxy(deps: ProxyDeps): EphemeralProxy {
  const withMarker: EphemeralDeps = { ...deps, hopMarker: createHopMarker(deps.deploymentId) };
  return {
    serveEphemeral: (exchange) => serveEphemeral(withMarker, exchange),
    serveGateway: (exchange, target) =>
      serveEphemeral(withMarker, exchange, (headers) => gatewayOptions(headers, target())),
  };
}

/** Calls of routes (dataplane §5). */
export function createRouteProxy(deps: RouteProxyDeps): RouteProxy {
  const withMarker: RoutePipelineDeps = { ...deps, hopMarker: createHopMarker(deps.deploymentId) };
  return { serveRoute: (exchange) => serveRoute(withMarker, exchange) };
}
