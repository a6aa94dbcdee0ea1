import { loopDetected } from '../errors.js';

/** Our entry of `Via` (contract README §6): sent upstream, and refused when it comes back to us. */
export interface HopMarker {
  readonly via: string;
  refuseLoop(inboundVia: string): void;
}

export function createHopMarker(deploymentId: string): HopMarker {
  const pseudonym = `knoxcall-${deploymentId}`;
  return {
    via: `1.1 ${pseudonym}`,
    refuseLoop(inboundVia) {
      if (inboundVia !== '' && inboundVia.toLowerCase().includes(pseudonym)) throw loopDetected();
    },
  };
}
