import type { Exchange } from './call.js';
import { type EphemeralDeps, serveEphemeral } from './pipeline/ephemeral.js';
import { createHopMarker } from './pipeline/hop-marker.js';

export interface ProxyDeps extends Omit<EphemeralDeps, 'hopMarker'> {
  /** 8 hex digits, fixed per installation (contract README §6). */
  readonly deploymentId: string;
}

export interface EphemeralProxy {
  serveEphemeral(exchange: Exchange): Promise<void>;
}

export function createProxy(deps: ProxyDeps): EphemeralProxy {
  const withMarker: EphemeralDeps = { ...deps, hopMarker: createHopMarker(deps.deploymentId) };
  return { serveEphemeral: (exchange) => serveEphemeral(withMarker, exchange) };
}
